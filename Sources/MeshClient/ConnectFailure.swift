import AsyncHTTPClient
import Glibc
import MeshModel
import NIOCore
import NIOPosix
import NIOSSL

/// Turns what the network libraries throw into errors for people.
enum ConnectFailure {
    static func describe(_ error: any Error, subject: String, timeout: Duration) -> any Error {
        switch error {
        case is MeshError, is CancellationError:
            return error
        case is DeadlinePassed:
            return timedOut(subject, timeout)
        case let error as NIOConnectionError:
            return describe(error, subject: subject, timeout: timeout)
        case let error as IOError:
            return system(error.errnoCode, subject)
        case let error as ChannelError:
            if case .connectTimeout = error { return timedOut(subject, timeout) }
            return MeshError(.unavailable, "the connection to \(subject) broke", cause: error)
        case let error as HTTPClientError:
            return describe(error, subject: subject, timeout: timeout)
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
            return MeshError(.tls, "no TLS connection to \(subject): \(TLSFailure.words(error))")
        default:
            return MeshError(.unavailable, "the request to \(subject) failed", cause: error)
        }
    }

    private static func describe(
        _ error: NIOConnectionError, subject: String, timeout: Duration
    ) -> any Error {
        if let failure = error.connectionErrors.first {
            return describe(failure.error, subject: subject, timeout: timeout)
        }
        return MeshError(.unavailable, "the name \(error.host) of \(subject) does not resolve")
    }

    private static func describe(
        _ error: HTTPClientError, subject: String, timeout: Duration
    ) -> any Error {
        switch error {
        case .connectTimeout, .deadlineExceeded, .readTimeout, .writeTimeout,
            .tlsHandshakeTimeout, .getConnectionFromPoolTimeout:
            timedOut(subject, timeout)
        case .remoteConnectionClosed:
            MeshError(.unavailable, "\(subject) closed the connection before it answered")
        case .cancelled:
            CancellationError()
        case .invalidURL, .emptyHost, .emptyScheme, .missingSocketPath:
            MeshError(.invalid, "\(subject) is not a URL that can be requested")
        default:
            MeshError(.unavailable, "the request to \(subject) failed", cause: error)
        }
    }

    private static func system(_ code: Int32, _ subject: String) -> MeshError {
        switch code {
        case ECONNREFUSED: MeshError(.unavailable, "connection refused at \(subject)")
        case ENOENT: MeshError(.unavailable, "there is no socket at \(subject)")
        case EACCES, EPERM:
            MeshError(.denied, "no permission to connect to \(subject): use another user")
        case ECONNRESET, EPIPE:
            MeshError(.unavailable, "\(subject) broke the connection off")
        default:
            MeshError(
                .unavailable, "cannot connect to \(subject): \(String(cString: strerror(code)))")
        }
    }

    private static func timedOut(_ subject: String, _ timeout: Duration) -> MeshError {
        MeshError(.timeout, "\(subject) did not answer within \(timeout)")
    }
}
