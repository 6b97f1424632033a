/// Bounds of the key/value store, Consul's.
package enum KeyValueLimits {
    package static let valueBytes = 512 * 1024
    package static let keyBytes = 4096
    /// The most operations of one transaction.
    package static let operations = 64
    /// The most bytes of a transaction's body: one value of the largest size, coded as base64, and
    /// what is around it.
    package static let transactionBytes = 4 * ((valueBytes + 2) / 3) + 64 * 1024
}
