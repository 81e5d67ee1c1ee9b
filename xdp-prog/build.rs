//! Compiles the BPF programs with clang; `src/object.rs` embeds what comes out.

mod clang;

fn main() {
    clang::build(&["fabric", "trunk"]);
}
