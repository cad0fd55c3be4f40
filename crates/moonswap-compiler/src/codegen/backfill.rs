//! Captured variables that closures of an older version lack: the function
//! begins with `if the closure lacks it then variable = value end`.

use moonswap_bytecode::OpCode;

use crate::codegen::jump_list::JumpList;
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;

impl Generator<'_> {
    /// To be called when the parameters are declared.
    pub(crate) fn initialise_backfilled(&mut self, span: Span) -> Result<()> {
        let all = self.options.initialisers;
        let Some(list) = all.and_then(|all| all.get(&self.f.id)) else {
            return Ok(());
        };
        // Parameters are not in sight.
        let active = &mut self.f.scope.active;
        let names: Vec<_> = active.iter_mut().map(|v| v.name.take()).collect();
        let outcome = list.iter().try_for_each(|initialiser| {
            for &name in &initialiser.captured {
                if self.find(name).is_none() {
                    let text = self.name_text(name);
                    let message = format!("the captured variable {text} is not in sight here");
                    return Err(self.error(span, message));
                }
            }
            let variable = self.find(initialiser.variable).map(|f| f.operand);
            let Some(Kind::Upvalue(index)) = variable.map(|v| v.kind) else {
                return Ok(());
            };
            self.f.here = span;
            let has = self.f.emit(OpCode::JumpIfBackfilled, 0, 0, index, 0);
            let mut value = self.expr(initialiser.value)?;
            self.f
                .store(&Operand::new(Kind::Upvalue(index)), &mut value);
            self.f.patch_here(JumpList::one(has));
            Ok(())
        });
        for (variable, name) in self.f.scope.active.iter_mut().zip(names) {
            variable.name = name;
        }
        outcome
    }
}
