//! Soups of tokens and damaged text, parsed: no panic, and the parts of what
//! parses fit together. (What compiles is the target `compile`'s.)

use moonswap_compiler::{ParseLimits, parse};
use moonswap_fuzz::compile::TOKENS;
use moonswap_fuzz::data::{Data, row};

const PROGRAM: &str = r#"--@id main
local M <const> = {x = 1, [2] = "two\n\x41\u{20AC}\z
   end", 'q'; f(), ...}
function M.a.b:c(x, y, ...) local t <close> = nil; return x + y * 2 ^ -3, ... end
for i = 1, #M, 2 do if i % 2 == 0 then goto continue elseif not i then break else print(i) end ::continue:: end
for k, v in pairs { [[
long]], [==[ ]] ]==] } do M[k] = v .. "a" .. 0x1p-3 // 1 | 2 ~ ~3 & 4 << 5 >> 6 end
repeat local z = function(...) return (...) end until z() >= 3e5 and M:c'x' { 1 } ~= nil --[[ c ]]
while true do do break end end a, b.c, d[1] = 1, 2, 3
return M
"#;

/// Parses something that may be anything; if it parses, the parts must fit.
fn survive(source: &[u8]) -> bool {
    match parse("=c", source, ParseLimits::default()) {
        Ok(ast) => {
            assert_eq!(ast.exprs.len(), ast.spans.len());
            for span in &ast.spans {
                assert!(span.start <= span.end && span.end as usize <= source.len());
            }
            true
        }
        Err(error) => {
            assert!(error.raw.starts_with(b"c:"));
            false
        }
    }
}

#[test]
fn random_texts_never_panic() {
    for number in 0..10_000 {
        let row = row(54, number);
        let data = &mut Data::new(&row);
        let mut soup = String::new();
        for _ in 0..data.below(60) {
            soup += data.pick(&TOKENS);
            soup += ["", " "][data.below(2)];
        }
        survive(soup.as_bytes());
    }
    let mut parsed = 0;
    for number in 0..10_000 {
        let row = row(55, number);
        let data = &mut Data::new(&row);
        let mut program = PROGRAM.as_bytes().to_vec();
        for _ in 0..=data.below(4) {
            let at = data.below(program.len() + 1);
            match data.below(4) {
                0 => program.truncate(at.max(1)),
                1 => drop(program.drain(at..(at + data.below(9)).min(program.len()).max(at))),
                2 => drop(program.splice(at..at, data.pick(&TOKENS).bytes())),
                _ => program.insert(at, data.byte()),
            }
        }
        parsed += usize::from(survive(&program));
    }
    assert!(parsed > 100, "damage leaves nothing: {parsed}");
    assert!(survive(PROGRAM.as_bytes()));
}
