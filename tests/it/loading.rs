//! Loading is linear in the size of texts and binary chunks of all shapes, and what is
//! loaded takes little memory.

use crate::support::{TempFolder, alone, moonswap};

#[test]
fn is_linear() {
    let folder = TempFolder::new("loading");
    folder.write("loading.lua", include_str!("loading.lua.txt"));
    let _alone = alone();
    let mut told = String::new();
    // The machine may be busy: a shape that is slow is so every time.
    for _ in 0..4 {
        let mut command = std::process::Command::new(moonswap());
        command.arg("loading.lua").current_dir(folder.path());
        let output = command.output().expect("runs");
        told = String::from_utf8_lossy(&output.stdout).into_owned();
        if told == "linear\n" {
            return;
        }
    }
    panic!("{told}");
}

/// Code that patches may replace takes little more than the reference's.
#[test]
fn is_compact() {
    let folder = TempFolder::new("code-size");
    folder.write("size.lua", include_str!("code_size.lua.txt"));
    let mut command = std::process::Command::new(moonswap());
    command.arg("size.lua").current_dir(folder.path());
    let output = command.output().expect("runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
}
