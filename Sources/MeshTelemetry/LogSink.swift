import Glibc

/// Where log lines go.
package struct LogSink: Sendable {
    /// Takes one whole line with its newline.
    package let write: @Sendable ([UInt8]) -> Void

    package init(write: @escaping @Sendable ([UInt8]) -> Void) {
        self.write = write
    }

    /// The process's standard error.
    package static let standardError = LogSink.descriptor(STDERR_FILENO)

    /// An open file descriptor. One line is one `write`, so lines of several threads do not mix.
    /// A line that the descriptor does not take (closed pipe, full non-blocking pipe) is lost: a
    /// log must never stop the program.
    package static func descriptor(_ fd: Int32) -> LogSink {
        LogSink { line in
            var rest = line[...]
            while !rest.isEmpty {
                let written = rest.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
                if written > 0 {
                    rest = rest.dropFirst(written)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}
