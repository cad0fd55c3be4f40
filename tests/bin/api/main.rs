//! Prints the public items of the crate whose sources are in a folder:
//! `cargo run -p moonswap-tests --bin api -- mlua-0.12.2/src > docs/guide/mlua-items.txt`

fn main() {
    let folder = std::env::args().nth(1).expect("the folder of the sources");
    for item in moonswap_tests::api::public_items(folder.as_ref(), false) {
        println!("{item}");
    }
}
