/// Where requests and connections are written down, and how. Of a listener: what is nil is as the
/// whole node has it.
package struct AccessLogDefinition: Hashable, Sendable, Codable {
    /// A file by its absolute name, `stdout` or `stderr` of the data plane; empty: no log.
    package var path: String?
    /// `json` or a template.
    package var format: String?
    /// How many of those that end well are written: 1 is all of them.
    package var sample: Double?

    /// What a node has that says nothing.
    package static let off = AccessLogDefinition(path: "", format: "json", sample: 1)

    package init(path: String? = nil, format: String? = nil, sample: Double? = nil) {
        self.path = path
        self.format = format
        self.sample = sample
    }

    /// These members before those of the whole node.
    package func over(_ node: AccessLogDefinition) -> AccessLogDefinition {
        AccessLogDefinition(
            path: path ?? node.path, format: format ?? node.format, sample: sample ?? node.sample)
    }

    /// Bytes of a file's name.
    package static let pathLimit = 4095
}

extension AccessLogDefinition: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let path {
            checks.require(
                ["", "stdout", "stderr"].contains(path)
                    || (path.hasPrefix("/") && !path.hasSuffix("/")), ["path"],
                "\(NameRule.quoted(path)) is not a log: write the absolute name of a file, stdout, "
                    + "stderr, or \"\" for none")
            checks.require(
                path.utf8.count <= Self.pathLimit && HTTPToken.isFieldValue(path), ["path"],
                "the name of the file is too long or has control characters")
        }
        if let format {
            do {
                _ = try AccessLogFormat(format)
            } catch { checks.fail(["format"], "\(error)") }
        }
        if let sample {
            checks.require(
                sample >= 0 && sample <= 1, ["sample"], "\(sample) is no share: write 0 to 1")
        }
    }
}
