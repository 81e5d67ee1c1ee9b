//! The programs under test.

use std::fs;
use std::path::{Path, PathBuf};

/// The `vrouterd` that is tested: the one that `VROUTERD` names, else the one that cargo has built into the
/// directory of this test.
///
/// # Panics
/// When it is not there or older than its sources.
pub fn vrouterd() -> PathBuf {
    built("vrouterd", "VROUTERD")
}

/// The `vrctl` that is tested: the one that `VRCTL` names, else the one that cargo has built.
///
/// # Panics
/// When it is not there or older than its sources.
pub fn vrctl() -> PathBuf {
    built("vrctl", "VRCTL")
}

fn built(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a process knows its program");
    // target/<profile>/deps/<test> and target/<profile>/<name>
    let path = test.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps").join(name);
    let remedy = "run `cargo build --workspace` first";
    assert!(path.exists(), "{} is not there: {remedy}", path.display());
    let newer = newer_sources(&path);
    assert!(newer.is_empty(), "{} is older than {}: {remedy}", path.display(), newer.join(", "));
    path
}

/// Those of the program's sources, as cargo lists them beside it, that have changed since it was built.
fn newer_sources(program: &Path) -> Vec<String> {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let built = changed(program);
    let list = fs::read_to_string(program.with_extension("d")).expect("cargo lists the sources");
    let (_, sources) = list.split_once(": ").expect("a rule of make");
    sources.split_whitespace().filter(|path| changed(Path::new(path)) > built).map(str::to_owned).collect()
}
