/// Which records are written: a level for all, and subsystems that are written whole.
package struct LogFilter: Sendable, Equatable {
    /// Records below this level are dropped, unless their subsystem is listed.
    package var level: LogLevel
    /// Subsystems of which every record is written, whatever `level` says (`log.subsystems`).
    /// `mesh` also covers `mesh.ca`: a name covers what follows it after a dot.
    package var subsystems: [String]

    package init(level: LogLevel = .info, subsystems: [String] = []) {
        self.level = level
        self.subsystems = subsystems
    }

    /// The least severe level that is written for a subsystem.
    package func threshold(of subsystem: String) -> Logger.Level {
        let listed = subsystems.contains { name in
            !name.isEmpty && (subsystem == name || subsystem.hasPrefix(name + "."))
        }
        return listed ? .trace : level.threshold
    }
}
