//! Compiles the BPF programs of the wire benchmark, as `xdp-prog` does its own.

#[path = "../xdp-prog/clang.rs"]
mod clang;

fn main() {
    println!("cargo::rerun-if-changed=../xdp-prog/clang.rs");
    clang::build(&["generator", "sink", "forward"]);
}
