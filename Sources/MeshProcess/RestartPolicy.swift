/// When a process that ended is started again: at once after a long life, else after a pause that
/// doubles. Pure.
package struct RestartPolicy: Sendable, Equatable {
    /// First pause of a process that ends young.
    package var first: Duration
    package var most: Duration
    /// A process that lived as long as this was well.
    package var healthyAfter: Duration
    /// So many young ends in a row cost no pause.
    package var free: Int
    private var young = 0

    package init(
        first: Duration = .milliseconds(100), most: Duration = .seconds(10),
        healthyAfter: Duration = .seconds(10), free: Int = 0
    ) {
        self.first = first
        self.most = most
        self.healthyAfter = healthyAfter
        self.free = free
    }

    /// Of managed proxies, as Consul's agent has it.
    package static let daemon = RestartPolicy(first: .seconds(2), most: .seconds(60), free: 3)

    /// How long to wait before the next start.
    package mutating func ended(after life: Duration) -> Duration {
        if life >= healthyAfter {
            young = 0
            return .zero
        }
        young += 1
        if young <= free { return .zero }
        return min(first * (1 << min(young - free - 1, 16)), most)
    }
}
