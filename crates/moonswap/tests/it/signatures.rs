//! Signed patch files: what is not exactly what a trusted key signed is refused,
//! before anything of it is compiled.
#![cfg(feature = "sign")]

use moonswap::prelude::*;
use moonswap::{FileChunk, PatchFile, PublicKey, Result, SecretKey, Timestamp, Trust};

/// No Lua: whoever gets as far as compiling it says so.
const NO_LUA: &str = "function (";

fn key(n: u8) -> SecretKey {
    let text = format!("moonswap-secret-key {}\n", format!("{n:02x}").repeat(32));
    SecretKey::from_text(&text).expect("a key")
}

fn file(source: &str) -> PatchFile {
    let chunk = FileChunk {
        name: "@c.lua".into(),
        base: None,
        changes: vec!["swapped f".into()],
        source: source.into(),
    };
    let policy = Policy::new().signed_off("ann", "why not");
    let mut file = PatchFile::new(vec![chunk], policy);
    file.sequence = Some(3);
    file.created = Some(Timestamp::now());
    file.expires = Some(Timestamp::now().after(std::time::Duration::from_secs(3600)));
    file
}

fn signed(source: &str, by: &SecretKey) -> PatchFile {
    let mut file = file(source);
    by.sign(&mut file);
    file
}

fn vm(trust: Trust) -> Result<Lua> {
    let lua = Lua::new();
    lua.load("function f() return 1 end")
        .set_name("@c.lua")
        .exec()?;
    lua.hot().set_trust(trust);
    Ok(lua)
}

fn apply(lua: &Lua, bytes: &[u8]) -> Result<()> {
    lua.hot().patch(&PatchFile::parse(bytes)?).apply().map(drop)
}

#[track_caller]
fn refused(lua: &Lua, file: &PatchFile, code: &str) {
    let error = apply(lua, &file.to_bytes()).expect_err(code);
    let refused = error.refused().unwrap_or_else(|| panic!("{error}"));
    assert_eq!(refused.refusals[0].code.text(), code, "{error}");
    assert!(refused.is_provenance());
}

#[test]
fn each_reason_to_refuse() -> Result<()> {
    let (ours, theirs) = (key(1), key(2));
    let lua = vm(Trust::new().with_key(ours.public()))?;
    refused(&lua, &file(NO_LUA), "S004");
    refused(&lua, &signed(NO_LUA, &theirs), "S003");

    // Said to be by ours, made by another.
    let mut forged = signed(NO_LUA, &theirs);
    forged.signature.as_mut().expect("signed").key = *ours.public().as_bytes();
    refused(&lua, &forged, "S002");

    // Policies, dates, order, base, texts: all of it is signed.
    let tampered: [fn(&mut PatchFile); 8] = [
        |file| file.policy.author = Some("bob".into()),
        |file| file.policy.remove = true,
        |file| file.sequence = Some(4),
        |file| file.expires = None,
        |file| file.created = None,
        |file| file.chunks[0].source.push(b' '),
        |file| file.chunks[0].base = Some(moonswap::TextDigest::of(b"")),
        |file| file.chunks[0].changes.clear(),
    ];
    for tamper in tampered {
        let mut file = signed(NO_LUA, &ours);
        tamper(&mut file);
        refused(&lua, &file, "S002");
    }

    let mut expired = file(NO_LUA);
    expired.expires = Some(Timestamp::now());
    ours.sign(&mut expired);
    refused(&lua, &expired, "S005");

    let good = signed("function f() return 2 end", &ours);
    apply(&lua, &good.to_bytes())?;
    assert_eq!(lua.load("return f()").eval::<i64>()?, 2);
    refused(&lua, &good, "S006");
    lua.hot().rollback_last()?;
    refused(&lua, &good, "S006");
    let mut next = good.clone();
    next.sequence = Some(4);
    ours.sign(&mut next);
    apply(&lua, &next.to_bytes())?;
    assert_eq!(
        lua.hot()
            .trust()
            .last_sequence(Some(*ours.public().as_bytes())),
        Some(4)
    );
    Ok(())
}

#[test]
fn numbers_count_for_each_key_by_itself() -> Result<()> {
    let (a, b) = (key(1), key(2));
    let lua = vm(Trust::new().with_key(a.public()).with_key(b.public()))?;
    apply(&lua, &signed("function f() return 2 end", &a).to_bytes())?;
    apply(&lua, &signed("function f() return 3 end", &b).to_bytes())?;
    refused(&lua, &signed(NO_LUA, &b), "S006");
    Ok(())
}

/// Without pinned keys a signature is no must, but a wrong one is wrong.
#[test]
fn a_wrong_signature_is_refused_by_everybody() -> Result<()> {
    let lua = vm(Trust::new())?;
    let mut file = signed(NO_LUA, &key(1));
    file.policy.author = None;
    refused(&lua, &file, "S002");
    apply(
        &lua,
        &signed("function f() return 2 end", &key(1)).to_bytes(),
    )
}

/// A key of small order would make signatures that fit any file.
#[test]
fn weak_keys_are_no_keys() -> Result<()> {
    let lua = vm(Trust::new())?;
    let identity = format!("01{}", "00".repeat(31));
    assert!(identity.parse::<PublicKey>().is_err());
    let mut file = signed(NO_LUA, &key(1));
    let signature = file.signature.as_mut().expect("signed");
    signature.key = [0; 32];
    signature.key[0] = 1;
    // R = identity, s = 0: valid for this key where small orders are accepted.
    signature.signature = [0; 64];
    signature.signature[0] = 1;
    refused(&lua, &file, "S002");
    Ok(())
}

#[test]
fn every_changed_bit_is_refused() -> Result<()> {
    let ours = key(1);
    let lua = vm(Trust::new().with_key(ours.public()))?;
    let good = signed("function f() return 2 end", &ours).to_bytes();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let error = apply(&lua, &bytes).expect_err("a changed bit");
            assert!(
                error
                    .refused()
                    .is_some_and(moonswap::Refused::is_provenance),
                "byte {at}, bit {bit}: {error}"
            );
        }
    }
    for cut in 0..good.len() {
        assert!(apply(&lua, &good[..cut]).is_err(), "{cut}");
    }
    assert!(apply(&lua, &[&good[..], b"\n"].concat()).is_err());
    assert_eq!(lua.hot().generation(), 1);
    apply(&lua, &good)
}

#[test]
fn keys_as_text() -> Result<()> {
    let secret = SecretKey::generate()?;
    let again = SecretKey::from_text(&secret.to_text())?;
    assert_eq!(again.public(), secret.public());
    assert_eq!(
        secret.public().to_string().parse::<PublicKey>()?,
        secret.public()
    );
    assert!(!format!("{secret:?}").contains(&secret.to_text()[20..40]));
    assert_ne!(SecretKey::generate()?.public(), secret.public());
    for bad in [
        "",
        "moonswap-secret-key",
        &secret.public().to_string(),
        &secret.to_text()[..40],
    ] {
        assert!(SecretKey::from_text(bad).is_err(), "{bad}");
    }
    assert!(secret.to_text().parse::<PublicKey>().is_err());
    Ok(())
}
