use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where the programs are.
pub struct Programs {
    /// `sealpost-relay`
    pub relay: PathBuf,
    /// `sealpost`
    pub client: PathBuf,
    /// `sealpost-tests`, which is no release's; not there where it is release builds that are tested.
    pub tests: Option<PathBuf>,
}

/// Builds both programs, once, and takes their paths from what cargo says. With `SEALPOST_TESTED=release` it is their release
/// builds that are tested.
///
/// # Panics
/// They can't be built.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root).args(["build", "--workspace", "--bins", "--locked", "--message-format=json"]);
        if std::env::var_os("SEALPOST_TESTED").is_some_and(|build| build == "release") {
            // Without this package, whose programs are for tests alone.
            command.arg("--release").args(["--exclude", "sealpost-tests"]);
        }
        // Of the build that runs this very code, only what a person would set too.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_BIN_")) {
                command.env_remove(name);
            }
        }
        let output = command.stderr(Stdio::inherit()).output().expect("cargo starts");
        assert!(output.status.success(), "cargo build failed");
        let built = |name: &str| {
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
                .filter(|message| message["target"]["name"] == name)
                .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        };
        let find = |name: &str| built(name).unwrap_or_else(|| panic!("cargo built no {name}"));
        let mine = folder_beside(&find("sealpost-relay"), root);
        Programs {
            relay: link(&find("sealpost-relay"), &mine),
            client: link(&find("sealpost"), &mine),
            tests: built("sealpost-tests").map(|program| link(&program, &mine)),
        }
    })
}

/// A folder of this checkout's own: another one may share the target folder and build other programs of these names.
fn folder_beside(program: &Path, root: &Path) -> PathBuf {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    root.hash(&mut hasher);
    let folder = program.with_file_name(format!("programs-{:016x}", hasher.finish()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// Links a program into a folder, in place of what was there.
fn link(program: &Path, folder: &Path) -> PathBuf {
    let name = program.file_name().expect("a program has a name");
    let (new, path) = (folder.join(format!("new-{}", std::process::id())), folder.join(name));
    std::fs::hard_link(program, &new).expect("the target folder takes links");
    std::fs::rename(&new, &path).expect("the target folder can be written");
    // A link to the same file is left alone by rename.
    let _ = std::fs::remove_file(&new);
    path
}
