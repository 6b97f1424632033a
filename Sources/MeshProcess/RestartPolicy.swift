/// When a process that ended is started again: at once after a long life, else after a pause that
/// doubles. Pure.
package struct RestartPolicy: Sendable, Equatable {
    /// First pause of a process that ends young.
    package var first: Duration
    package var most: Duration
    /// A process that lived as long as this was well.
    package var healthyAfter: Duration
    private var young = 0

    package init(
        first: Duration = .milliseconds(100), most: Duration = .seconds(10),
        healthyAfter: Duration = .seconds(10)
    ) {
        self.first = first
        self.most = most
        self.healthyAfter = healthyAfter
    }

    /// How long to wait before the next start.
    package mutating func ended(after life: Duration) -> Duration {
        if life >= healthyAfter {
            young = 0
            return .zero
        }
        young += 1
        return min(first * (1 << min(young - 1, 16)), most)
    }
}
