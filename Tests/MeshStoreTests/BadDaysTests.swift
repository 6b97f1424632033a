import Foundation
import MeshIdentity
import MeshModel
import MeshStore
import Testing

/// Runs a program to its end.
func run(_ path: String, _ arguments: [String]) async throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    return try await withCheckedThrowingContinuation { continuation in
        process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do { try process.run() } catch { continuation.resume(throwing: error) }
    }
}

@Suite struct DamageTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func write(_ data: Data) throws {
        try data.write(to: URL(fileURLWithPath: folder.database))
    }

    @Test func anotherKeyIsAClearError() async throws {
        try await open(folder).close()
        let other = SecretBytes(1..<33)
        let refusal = await failure {
            try await SQLiteStore.open(path: folder.database, key: other)
        }
        #expect(refusal?.code == .wrongKey)
        #expect(refusal?.message.contains("store.key_file") == true)
        try await open(folder).close()
    }

    @Test(arguments: ["not a database, but longer than a header of one hundred bytes ", "x"])
    func aFileThatIsNoDatabaseIsAClearError(text: String) async throws {
        try write(Data(String(repeating: text, count: 100).utf8))
        let refusal = await failure { try await open(folder) }
        #expect(refusal?.code == .corrupt)
        #expect(refusal?.message.contains(folder.database) == true)
    }

    @Test func damageInsideTheFileIsAClearError() async throws {
        let store = try await open(folder)
        try await store.write { draft in
            for number in 0..<2000 {
                _ = try draft.putKeyValue("key-\(number)", [UInt8](repeating: 1, count: 200))
            }
        }
        try await store.close()
        var data = try Data(contentsOf: URL(fileURLWithPath: folder.database))
        for page in stride(from: 4096 * 4, to: data.count, by: 4096 * 3) {
            data.replaceSubrange(page..<page + 64, with: [UInt8](repeating: 0xFF, count: 64))
        }
        try write(data)
        let refusal = await failure { try await open(folder) }
        #expect(refusal?.code == .corrupt)
        #expect(refusal?.message.contains("backup") == true)
    }

    @Test func aCutFileIsAClearError() async throws {
        let store = try await open(folder)
        try await store.write { draft in
            for number in 0..<500 { _ = try draft.putKeyValue("key-\(number)", [1, 2, 3]) }
        }
        try await store.close()
        let data = try Data(contentsOf: URL(fileURLWithPath: folder.database))
        try write(data.prefix(data.count / 2))
        #expect(await failure { try await open(folder) }?.code == .corrupt)
    }

    @Test func aNewerDatabaseAndAForeignOneAreLeftAlone() async throws {
        try await open(folder).close()
        let sql = "INSERT INTO grdb_migrations VALUES ('0099 of the future')"
        try #require(try await python(sql) == 0)
        let newer = await failure { try await open(folder) }
        #expect(newer?.code == .newerSchema)
        try FileManager.default.removeItem(atPath: folder.database)
        try #require(try await python("CREATE TABLE theirs (id INTEGER)") == 0)
        let foreign = await failure { try await open(folder) }
        #expect(foreign?.message.contains("another program") == true)
        let data = try Data(contentsOf: URL(fileURLWithPath: folder.database))
        #expect(!data.contains(Data("key_values".utf8)))
    }

    private func python(_ sql: String) async throws -> Int32 {
        let code = """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit(); db.close()
            """
        return try await run("/usr/bin/python3", ["-c", code, folder.database, sql])
    }

    @Test func aMissingFolderAndAReadOnlyPlaceAreClearErrors() async {
        let missing = await failure {
            try await SQLiteStore.open(path: folder.path + "/no/state.db", key: key)
        }
        #expect(missing?.message.contains("No such file or directory") == true)
        let place = await failure { try await SQLiteStore.open(path: folder.path, key: key) }
        #expect(place != nil)
    }
}

@Suite struct OtherProcessTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    @Test func aSecondControlPlaneIsRefusedAndTheFirstNamed() async throws {
        let store = try await open(folder)
        let refusal = await failure { try await open(folder) }
        #expect(refusal?.code == .locked)
        #expect(refusal?.message.contains("process \(getpid())") == true)
        try await store.close()
        try await open(folder).close()
    }

    @Test func aDatabaseHeldByAnotherProcessIsAClearErrorAndNothingIsLost() async throws {
        let store = try await open(folder)
        _ = try await store.write { try $0.putKeyValue("before", [1]) }
        let holder = Process()
        let input = Pipe()
        let output = Pipe()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        holder.arguments = [
            "-c",
            """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1], isolation_level=None)
            db.execute("BEGIN IMMEDIATE")
            print("held", flush=True)
            sys.stdin.read()
            """, folder.database,
        ]
        holder.standardInput = input
        holder.standardOutput = output
        try holder.run()
        let said = try #require(try output.fileHandleForReading.read(upToCount: 5))
        try #require(said == Data("held\n".utf8))
        let start = store.snapshot.index
        let refusal = await failure {
            try await store.write { try $0.putKeyValue("during", [1]) }
        }
        #expect(refusal?.code == .locked)
        #expect(refusal?.message.contains(folder.database) == true)
        #expect(store.snapshot.index == start && store.snapshot.keyValue("during") == nil)
        // What does not go to disk goes on.
        try await store.write { $0.note(.health, key: "web") }
        #expect(store.snapshot.index == start.next)
        try input.fileHandleForWriting.close()
        while holder.isRunning { try await Task.sleep(for: .milliseconds(5)) }
        _ = try await store.write { try $0.putKeyValue("after", [1]) }
        try await store.close()
        let again = try await open(folder)
        #expect(again.snapshot.keys(prefix: "") == ["after", "before"])
        try await again.close()
    }
}

@Suite struct FullDiskTests {
    private static let isRoot = geteuid() == 0

    /// A file system of one megabyte is filled up by somebody else, and later emptied.
    @Test(.enabled(if: isRoot, "mounting a small file system needs root"))
    func aFullDiskRefusesWritesAndLosesNothing() async throws {
        let folder = try Folder()
        try #require(
            try await run(
                "/usr/bin/mount",
                ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.path]) == 0)
        do {
            try await fillUp(folder)
        } catch {
            Issue.record(error)
        }
        #expect(try await run("/usr/bin/umount", ["-l", folder.path]) == 0)
    }

    private func fillUp(_ folder: Folder) async throws {
        let store = try await open(folder)
        let ballast = folder.path + "/ballast"
        _ = FileManager.default.createFile(
            atPath: ballast, contents: Data(repeating: 1, count: 500 * 1024))
        var acknowledged: Set<String> = []
        var refusal: MeshError?
        for number in 0..<10_000 where refusal == nil {
            refusal = await failure {
                try await store.write {
                    try $0.putKeyValue("k\(number)", [UInt8](repeating: 1, count: 1000))
                }
            }
            if refusal == nil { acknowledged.insert("k\(number)") }
        }
        #expect(refusal?.code == .diskFull)
        #expect(refusal?.message.contains("full") == true)
        #expect(acknowledged.count > 10)
        #expect(Set(store.snapshot.keys(prefix: "k")) == acknowledged)
        try FileManager.default.removeItem(atPath: ballast)
        #expect(try await store.write { try $0.putKeyValue("later", [1]) })
        try await store.close()
        let again = try await open(folder)
        #expect(Set(again.snapshot.keys(prefix: "k")) == acknowledged)
        #expect(again.snapshot.keyValue("later") != nil)
        try await again.close()
    }

    /// The kernel refuses to let files grow: another failure of the disk, in a process of its own.
    @Test func aFailingDiskRefusesWritesAndLosesNothing() async throws {
        await #expect(processExitsWith: .success) {
            let folder = try Folder()
            let store = try await open(folder)
            _ = try await store.write { try $0.putKeyValue("before", [1]) }
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 64 * 1024, rlim_max: rlim_t(bitPattern: -1))
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            let refusal = await failure {
                try await store.write {
                    try $0.putKeyValue("big", [UInt8](repeating: 1, count: 200_000))
                }
            }
            #expect(refusal?.code == .system || refusal?.code == .diskFull)
            #expect(refusal?.message.contains("nothing was changed") == true)
            #expect(store.snapshot.keys(prefix: "") == ["before"])
            limit.rlim_cur = limit.rlim_max
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            _ = try await store.write { try $0.putKeyValue("after", [1]) }
            try await store.close()
            let again = try await open(folder)
            #expect(again.snapshot.keys(prefix: "") == ["after", "before"])
            try await again.close()
        }
    }
}

@Suite struct KilledTests {
    /// Eight writers run; each notes in a file what it was told is stored; then the process is
    /// killed in the middle of it.
    @Test(arguments: [1, 20, 150])
    func everythingAcknowledgedIsThereAfterAKill(count: Int) async throws {
        let folder = try Folder()
        let path = folder.path
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, count = count as Int] in
            let store = try await SQLiteStore.open(
                path: path + "/state.db", key: SecretBytes(0..<32))
            let notes = open(path + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        for number in 0..<1_000_000 {
                            let name = "w\(writer)-\(number)"
                            _ = try await store.write { try $0.putKeyValue(name, [UInt8(writer)]) }
                            let line = Array((name + "\n").utf8)
                            _ = write(notes, line, line.count)
                            if writer == 0, number == count { kill(getpid(), SIGKILL) }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        let notes = try String(contentsOfFile: path + "/acknowledged", encoding: .utf8)
        let acknowledged = Set(notes.split(separator: "\n").map(String.init))
        #expect(acknowledged.count > count)
        let store = try await open(folder)
        let stored = Set(store.snapshot.keys(prefix: "w"))
        #expect(acknowledged.subtracting(stored).isEmpty)
        // At most one write of each writer was under way.
        #expect(stored.count <= acknowledged.count + 8)
        let highest = store.snapshot.keyValues(prefix: "w").map(\.modifyIndex).max()
        #expect(try #require(highest) <= store.snapshot.index)
        _ = try await store.write { try $0.putKeyValue("next", [1]) }
        try await store.close()
    }
}
