/// Spreads the requests for one service over several by weight.
package struct ServiceSplitter: Hashable, Sendable, Codable {
    package struct Split: Hashable, Sendable, Codable {
        /// Per cent, in steps of a hundredth.
        package var weight: Double
        /// The splitter's own service when nil.
        package var service: ServiceName?
        package var serviceSubset: SubsetName?
        package var requestHeaders: HeaderModifiers?
        package var responseHeaders: HeaderModifiers?

        package init(
            weight: Double, service: ServiceName? = nil, serviceSubset: SubsetName? = nil,
            requestHeaders: HeaderModifiers? = nil, responseHeaders: HeaderModifiers? = nil
        ) {
            self.weight = weight
            self.service = service
            self.serviceSubset = serviceSubset
            self.requestHeaders = requestHeaders
            self.responseHeaders = responseHeaders
        }

        /// The weight in hundredths of a per cent.
        package var hundredths: Int { Int((weight * 100).rounded()) }

        package enum CodingKeys: String, CodingKey {
            case weight, service
            case serviceSubset = "service_subset"
            case requestHeaders = "request_headers"
            case responseHeaders = "response_headers"
        }
    }

    package var name: ServiceName
    package var splits: [Split]
    package var meta: [String: String]

    package init(name: ServiceName, splits: [Split], meta: [String: String] = [:]) {
        self.name = name
        self.splits = splits
        self.meta = meta
    }
}

extension ServiceSplitter: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(!splits.isEmpty, [], "no splits configured: write splits")
        checks.require(splits.count <= 256, ["splits"], "use at most 256 splits")
        var seen: Set<String> = []
        var sound = true
        for (index, split) in splits.enumerated() {
            let inRange = split.weight.isFinite && split.weight >= 0 && split.weight <= 100
            checks.require(
                inRange, ["splits", .index(index), "weight"],
                "\(split.weight) is out of range: write a per cent of 0 to 100")
            sound = sound && inRange
            let target = (split.service ?? name).folded + "\0" + (split.serviceSubset?.text ?? "")
            checks.require(
                seen.insert(target).inserted, ["splits", .index(index)],
                "split destination occurs more than once: \((split.service ?? name).text)"
                    + (split.serviceSubset.map { " subset \($0)" } ?? ""))
            checks.within(["splits", .index(index), "request_headers"]) {
                split.requestHeaders?.validate(onResponse: false, &$0)
            }
            checks.within(["splits", .index(index), "response_headers"]) {
                split.responseHeaders?.validate(onResponse: true, &$0)
            }
        }
        guard sound, !splits.isEmpty else { return }
        let sum = splits.reduce(0) { $0 + $1.hundredths }
        checks.require(
            sum == 10_000, ["splits"],
            "the sum of all split weights must be 100, not \(Double(sum) / 100)")
    }
}
