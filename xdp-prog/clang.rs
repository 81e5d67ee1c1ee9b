//! Compiling BPF programs with clang, for the build scripts of this crate and of `bench`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const REMEDY: &str = "apt-get install clang libbpf-dev";

/// Compiles `bpf/<name>.bpf.c` of the crate into its output directory, as `<name>.bpf.o`; without clang or the
/// headers the build fails and names what is missing.
pub(crate) fn build(names: &[&str]) {
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-env-changed=CLANG");
    if let Err(why) = compile_all(names) {
        println!("cargo::error={why}");
        exit(1);
    }
}

fn compile_all(names: &[&str]) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let includes = kernel_headers(&clang)?;
    if !Path::new("/usr/include/bpf/bpf_helpers.h").exists() {
        return Err(format!("missing: libbpf headers (/usr/include/bpf/bpf_helpers.h); {REMEDY}"));
    }
    for name in names {
        compile(&clang, name, &out, includes.as_deref())?;
    }
    Ok(())
}

/// The BPF target does not search the multiarch directory where Debian keeps `asm/types.h`.
fn kernel_headers(clang: &str) -> Result<Option<PathBuf>, String> {
    let output = Command::new(clang)
        .arg("-print-multiarch")
        .output()
        .map_err(|error| format!("missing: {clang} cannot be run ({error}); {REMEDY}"))?;
    let triple = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let arch = env::var("CARGO_CFG_TARGET_ARCH").map_err(|error| error.to_string())?;
    let candidates = [triple, format!("{arch}-linux-gnu")];
    let multiarch = candidates
        .iter()
        .filter(|triple| !triple.is_empty())
        .map(|triple| Path::new("/usr/include").join(triple))
        .find(|directory| directory.join("asm/types.h").exists());
    if multiarch.is_none() && !Path::new("/usr/include/asm/types.h").exists() {
        return Err(format!("missing: kernel headers (asm/types.h); {REMEDY} linux-libc-dev"));
    }
    Ok(multiarch)
}

fn compile(clang: &str, name: &str, out: &Path, includes: Option<&Path>) -> Result<(), String> {
    let source = Path::new("bpf").join(format!("{name}.bpf.c"));
    let mut command = Command::new(clang);
    command.args(["-O2", "-g", "-target", "bpf", "-Wall", "-Werror", "-c"]);
    if let Some(directory) = includes {
        command.arg("-I").arg(directory);
    }
    command.arg(&source).arg("-o").arg(out.join(format!("{name}.bpf.o")));
    let output = command.output().map_err(|error| format!("missing: {clang} ({error}); {REMEDY}"))?;
    if output.status.success() {
        return Ok(());
    }
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    Err(format!("{clang} refused {}; its messages stand above", source.display()))
}
