//! The verifier against code that no compiler made.

use moonswap_bytecode::{Capture, Fault, Instruction, MULTI, OpCode, Prototype, verify};

fn compiled(source: &str) -> Prototype {
    let prototype = moonswap_compiler::compile("@v", source.as_bytes()).expect("it compiles");
    verify(&prototype).expect("it verifies");
    let Ok(prototype) = std::sync::Arc::try_unwrap(prototype) else {
        panic!("one owner")
    };
    prototype
}

fn find(prototype: &Prototype, op: OpCode) -> usize {
    prototype
        .code
        .iter()
        .position(|i| i.opcode() == Some(op))
        .expect("the operation is there")
}

/// The fault found after changing the first instruction of that operation.
fn fault(
    source: &str,
    op: OpCode,
    change: impl FnOnce(Instruction) -> Instruction,
) -> Option<Fault> {
    let mut prototype = compiled(source);
    let pc = find(&prototype, op);
    prototype.code[pc] = change(prototype.code[pc]);
    verify(&prototype).err().map(|e| e.fault)
}

#[test]
fn operands_are_bounded() {
    let beyond = 250 * 16;
    assert_eq!(
        fault("local a = b", OpCode::GetTabUp, |i| i.with_a(beyond)),
        Some(Fault::Register)
    );
    assert_eq!(
        fault("local a = b", OpCode::GetTabUp, |i| i.with_a(7)),
        Some(Fault::Register)
    );
    assert_eq!(
        fault("local a = b", OpCode::GetTabUp, |i| i.with_b(1)),
        Some(Fault::Upvalue)
    );
    assert_eq!(
        fault("local a = b", OpCode::GetTabUp, |i| i.with_c(9)),
        Some(Fault::Constant)
    );
    assert_eq!(
        fault("local a = 'x'", OpCode::LoadConst, |i| i.with_bc(-1)),
        Some(Fault::Constant)
    );
    assert_eq!(
        fault("a = function() end", OpCode::Closure, |i| i.with_bc(1)),
        Some(Fault::Site)
    );
    assert_eq!(
        fault("f(1, 2)", OpCode::Call, |i| i.with_b(200)),
        Some(Fault::Window)
    );
    assert_eq!(
        fault("local a = f()", OpCode::Call, |i| i.with_c(200)),
        Some(Fault::Window)
    );
    assert_eq!(
        fault("local a = 1", OpCode::Return, |i| i.with_b(99)),
        Some(Fault::Window)
    );
    assert_eq!(
        fault("local a <const> = f() .. 'x'", OpCode::Concat, |i| i
            .with_c(1)),
        Some(Fault::Count)
    );
    assert_eq!(
        fault("local a = 1", OpCode::LoadInt, |i| i
            .with_opcode(OpCode::Halt)),
        Some(Fault::Operation)
    );
    assert_eq!(
        fault("local a = true", OpCode::LoadTrue, |i| i.with_b(1)),
        Some(Fault::Unused)
    );
}

#[test]
fn constants_have_their_kinds() {
    let source = "local a, b = ... b = a.k + 1.5 b = 'text' == a";
    let key = |p: &Prototype, op| p.code[find(p, op)];
    let prototype = compiled(source);
    let (text, number) = (
        key(&prototype, OpCode::GetField).c(),
        key(&prototype, OpCode::AddConst).c(),
    );
    assert_eq!(
        fault(source, OpCode::GetField, |i| i.with_c(number)),
        Some(Fault::ConstantKind)
    );
    assert_eq!(
        fault(source, OpCode::AddConst, |i| i.with_c(text)),
        Some(Fault::ConstantKind)
    );
    let long = format!("local a = '{}' local b = a.x", "y".repeat(41));
    assert_eq!(
        fault(&long, OpCode::GetField, |i| i.with_c(0)),
        Some(Fault::ConstantKind)
    );
}

#[test]
fn jumps_stay_inside() {
    assert_eq!(
        fault("if a then b() end", OpCode::JumpIfNot, |i| i.with_bc(5000)),
        Some(Fault::Jump)
    );
    assert_eq!(
        fault("if a then b() end", OpCode::JumpIfNot, |i| i.with_bc(-2)),
        Some(Fault::Jump)
    );
    assert_eq!(
        fault("while a do b() end", OpCode::JumpBack, |i| i.with_bc(1)),
        Some(Fault::Jump)
    );
    assert_eq!(
        fault("while a do b() end", OpCode::JumpBack, |i| i.with_bc(-99)),
        Some(Fault::Jump)
    );
    let mut prototype = compiled("local a = 1");
    let last = prototype.code.len() - 1;
    prototype.code[last] = Instruction::from_raw(OpCode::LoadTrue, 0, 0, 0, 0);
    assert_eq!(verify(&prototype).err().map(|e| e.fault), Some(Fault::End));
}

#[test]
fn open_lists_come_in_pairs() {
    let open = Some(Fault::Open);
    assert_eq!(fault("f(g())", OpCode::Call, |i| i.with_c(1)), open);
    assert_eq!(
        fault("local a = g()", OpCode::Call, |i| i.with_c(MULTI)),
        open
    );
    assert_eq!(fault("f(...)", OpCode::Vararg, |i| i.with_b(1)), open);
    // A jump may not arrive between the two.
    let source = "if a then f() end f(...)";
    let target = {
        let prototype = compiled(source);
        find(&prototype, OpCode::CallMulti) - find(&prototype, OpCode::JumpIfNot) - 1
    };
    assert_eq!(
        fault(source, OpCode::JumpIfNot, |i| i.with_bc(target as i32)),
        open
    );
}

#[test]
fn loops_are_closed_to_the_outside() {
    let source = "local x = ... if x then f() end for i = 1, 2 do local y = x f(y) end";
    let bad = Some(Fault::Loop);
    assert_eq!(fault(source, OpCode::ForLoop, |i| i.with_bc(-3)), bad);
    assert_eq!(fault(source, OpCode::ForPrep, |i| i.with_bc(1)), bad);
    let (jump, body) = {
        let prototype = compiled(source);
        (
            find(&prototype, OpCode::JumpIfNot),
            find(&prototype, OpCode::ForPrep) + 1,
        )
    };
    assert_eq!(
        fault(source, OpCode::JumpIfNot, |i| i
            .with_bc((body - jump - 1) as i32)),
        bad
    );
    // `y = x` aimed at the loop's counter.
    let copies = "local x, y = ... for i = 1, 2 do y = x end";
    assert_eq!(fault(copies, OpCode::Move, |i| i.with_a(2 * 16)), bad);
    let generic = "for k in f do end";
    assert_eq!(
        fault(generic, OpCode::TForCall, |i| i.with_b(3)),
        Some(Fault::Count)
    );
    assert_eq!(fault(generic, OpCode::TForPrep, |i| i.with_bc(1)), bad);
}

#[test]
fn returns_fit_the_function() {
    let short = |_| Instruction::from_raw(OpCode::Return0, 0, 0, 0, 0);
    assert_eq!(fault("local a", OpCode::Return, short), Some(Fault::Return));
    assert_eq!(
        fault("local a", OpCode::Return, |i| i.with_x(1)),
        Some(Fault::Return)
    );
    let nop = |_| Instruction::from_raw(OpCode::Jump, 0, 0, 0, 0);
    assert_eq!(
        fault("local a", OpCode::KeepScope, nop),
        Some(Fault::Return)
    );
}

#[test]
fn sites_fit_their_children() {
    let mut prototype = compiled("local a function f() return a end");
    prototype.sites[0].captures = Box::new([]);
    assert_eq!(verify(&prototype).err().map(|e| e.fault), Some(Fault::Site));
    prototype.sites[0].captures = Box::new([Capture::Register(200)]);
    assert_eq!(
        verify(&prototype).err().map(|e| e.fault),
        Some(Fault::Register)
    );
    prototype.sites[0].captures = Box::new([Capture::Upvalue(3)]);
    assert_eq!(
        verify(&prototype).err().map(|e| e.fault),
        Some(Fault::Upvalue)
    );
}

/// The fault found in the only child after `change`.
fn child_fault(source: &str, change: impl FnOnce(&mut Prototype)) -> Option<Fault> {
    let mut prototype = compiled(source);
    let mut child = (*prototype.children[0]).clone();
    change(&mut child);
    prototype.children[0] = child.into();
    verify(&prototype).err().map(|e| e.fault)
}

fn replace(prototype: &mut Prototype, op: OpCode, with: Instruction) {
    let pc = find(prototype, op);
    prototype.code[pc] = with;
}

#[test]
fn registers_are_written_before_they_are_read() {
    let undefined = Some(Fault::Undefined);
    let nop = Instruction::from_raw(OpCode::Jump, 0, 0, 0, 0);
    let drop_load = |p: &mut Prototype| replace(p, OpCode::LoadInt, nop);
    assert_eq!(
        child_fault("function f() local a = 1 return -a end", drop_load),
        undefined
    );
    // One of two paths does not write.
    assert_eq!(
        child_fault(
            "function f(b) local a if b then a = 1 end return -a end",
            |p| replace(p, OpCode::LoadNil, nop)
        ),
        undefined
    );
    // The callee's link is no value.
    assert_eq!(
        fault("local a, b, c = f(1)", OpCode::Call, |i| i.with_c(1)),
        None
    );
    assert_eq!(
        fault("local a, b, c = f() g(c)", OpCode::Call, |i| i.with_c(1)),
        undefined
    );
    // What is above the live registers of a loop is cleared.
    assert_eq!(
        fault(
            "local a = 1 while b do a = a + 1 end",
            OpCode::JumpBack,
            |i| i.with_a(0)
        ),
        undefined
    );
    // An open list begins behind what takes it.
    assert_eq!(
        fault("return 1, f(1, 2, 3)", OpCode::Return, |i| i.with_a(3 * 16)),
        Some(Fault::Open)
    );
}

#[test]
fn lists_fill_the_table_under_construction() {
    let table = Some(Fault::Table);
    assert_eq!(
        fault("local x <const>, t = 1.5, {a, b}", OpCode::SetList, |i| i
            .with_c(40)),
        Some(Fault::Count)
    );
    let nil = |i: Instruction| Instruction::from_raw(OpCode::LoadNil, 0, i.a(), 1, 0);
    assert_eq!(fault("t = {a, b}", OpCode::NewTable, nil), table);
    // A named variable may be changed by the debug library.
    let mut prototype = compiled("local t = {f()}");
    prototype.debug.locals[0].start_pc = 1;
    assert_eq!(verify(&prototype).err().map(|e| e.fault), table);
    // And a captured one by its closure.
    let mut prototype = compiled("local a t = {function() a = a end, f()}");
    prototype.sites[0].captures = Box::new([Capture::Register(1)]);
    let refused = verify(&prototype).err().map(|e| e.fault);
    assert!(
        matches!(refused, Some(Fault::Table | Fault::Captured)),
        "{refused:?}"
    );
}

#[test]
fn varargs_belong_to_vararg_functions() {
    assert_eq!(
        child_fault("function f() local a = nil return a end", |p| replace(
            p,
            OpCode::LoadNil,
            Instruction::from_raw(OpCode::Vararg, 0, 0, 1, 0)
        )),
        Some(Fault::Return)
    );
}

#[test]
fn nothing_captured_outlives_its_frame() {
    let left_open = Some(Fault::Close);
    let forget = |p: &mut Prototype| {
        for i in &mut p.code {
            if i.opcode() == Some(OpCode::Return) {
                *i = i.with_x(i.x() & !1);
            }
        }
    };
    assert_eq!(
        child_fault("function f(a) return function() return a end end", forget),
        left_open
    );
    assert_eq!(
        child_fault("function f(a) local b <close> = a end", forget),
        left_open
    );
    assert_eq!(
        child_fault(
            "function f(t) for k in pairs(t) do return k end end",
            forget
        ),
        left_open
    );
    // A main chunk's top-level locals may be opened by a patch.
    let mut prototype = compiled("local a = 1");
    forget(&mut prototype);
    assert_eq!(verify(&prototype).err().map(|e| e.fault), left_open);
    // Closed before the register becomes a call's link.
    let nop = Instruction::from_raw(OpCode::Jump, 0, 0, 0, 0);
    assert_eq!(
        child_fault(
            "function f(g) do local x, y = 1, 2 g = function() return x + y end end g(1, 2, 3) end",
            |p| replace(p, OpCode::Close, nop)
        ),
        Some(Fault::Captured)
    );
    // Two variables to be closed in the wrong order.
    assert_eq!(
        child_fault(
            "function f(a, b) local c <close> = a local d <close> = b end",
            |p| {
                let at: Vec<usize> = (0..p.code.len())
                    .filter(|&pc| p.code[pc].opcode() == Some(OpCode::ToBeClosed))
                    .collect();
                p.code[at[1]] = p.code[at[1]].with_a(0);
            }
        ),
        left_open
    );
}

/// What the second turn of a loop finds is more, or less, than the first one does.
#[test]
fn loops_are_followed_for_more_than_one_turn() {
    let nop = Instruction::from_raw(OpCode::Jump, 0, 0, 0, 0);
    // The variable that the closure of the first turn has lies where the second one calls.
    assert_eq!(
        child_fault(
            "function f(c, g) while c(1, 2) do local x = 1 g.x = function() return x end end end",
            |p| replace(p, OpCode::Close, nop)
        ),
        Some(Fault::Captured)
    );
    // The iterator gives one value, and the body reads two.
    let sum = "function f(t) local s = 0 for k, v in pairs(t) do s = s + v end return s end";
    let one = |p: &mut Prototype| {
        let pc = find(p, OpCode::TForCall);
        p.code[pc] = p.code[pc].with_c(1);
    };
    assert_eq!(child_fault(sum, one), Some(Fault::Undefined));
    assert_eq!(child_fault(sum, |_| {}), None);
    // A loop around it ends what is known of a register before its second turn.
    let nested = "function f(t) for _, a in pairs(t) do local n = 1 while n < 2 do
        for _, b in pairs(a) do n = n + b end end end end";
    assert_eq!(child_fault(nested, |_| {}), None);
    let cleared = |p: &mut Prototype| {
        let pc = find(p, OpCode::JumpBack);
        p.code[pc] = p.code[pc].with_a(5);
    };
    assert_eq!(child_fault(nested, cleared), Some(Fault::Undefined));
}

#[test]
fn names_do_not_reach_into_calls() {
    let mut prototype = compiled("local a = f(1, 2)");
    prototype.debug.locals[0].register = 1;
    prototype.debug.locals[0].start_pc = 0;
    assert_eq!(
        verify(&prototype).err().map(|e| e.fault),
        Some(Fault::Captured)
    );
}

#[test]
fn random_damage_never_panics() {
    let source = "local a, t = 1, {f(), 2, ...} for i = 1, 3 do t[i] = a and i or t.x .. 'y' end \
                  for k, v in pairs(t) do if k == 1 then goto out end print(k, v) end ::out:: \
                  while a < 5 do a = a + 1 end return function(...) return a, ... end, f(...)";
    let original = compiled(source);
    let mut state: u64 = 1;
    let mut random = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        state >> 20
    };
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut prototype = original.clone();
        let n = prototype.code.len() as u64;
        for _ in 0..=random() % 3 {
            let pc = (random() % n) as usize;
            let bits = prototype.code[pc].to_bits();
            let changed = match random() % 3 {
                0 => bits ^ 1 << (random() % 64),
                1 => (bits & !0xFF) | (random() % 100),
                _ => prototype.code[(random() % n) as usize].to_bits(),
            };
            prototype.code[pc] = Instruction::from_bits(changed);
        }
        refused += usize::from(verify(&prototype).is_err());
        assert!(!moonswap_bytecode::listing(&prototype).is_empty());
    }
    assert!(refused > 10_000);
}
