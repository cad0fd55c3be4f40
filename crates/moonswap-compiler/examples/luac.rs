//! Prints the listing of a file, after verifying it: a tool for work on the
//! compiler.
fn main() {
    let mut failed = false;
    for path in std::env::args().skip(1) {
        let source = match std::fs::read(&path) {
            Ok(source) => source,
            Err(error) => {
                eprintln!("{path}: {error}");
                failed = true;
                continue;
            }
        };
        match moonswap_compiler::compile(&format!("@{path}"), moonswap_compiler::skip_shebang(&source)) {
            Ok(prototype) => {
                if std::env::var_os("QUIET").is_none() {
                    print!("{}", moonswap_bytecode::listing(&prototype));
                }
                if let Err(error) = moonswap_bytecode::verify(&prototype) {
                    eprintln!("VERIFY {error}");
                    failed = true;
                }
            }
            Err(error) => {
                eprintln!("{error}");
                failed = true;
            }
        }
    }
    std::process::exit(i32::from(failed));
}
