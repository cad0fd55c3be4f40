---@meta moonswap
-- Annotations of the module "moonswap" for editors with LuaLS (lua-language-server):
-- add this folder to `workspace.library`. Nothing here runs.

---Hot patching from inside a program. What can fail returns `nil, message`; only
---arguments of the wrong type raise an error.
---@class moonswap
---@field _VERSION string
local hot = {}

---How one patch is to be applied.
---@class moonswap.Options
---@field dry? boolean plan only; the report has the plan as text in `plan`
---@field rename? table<string, string> old to new name of functions and top-level locals
---@field reset? string|string[] top-level locals whose initialisers run again
---@field remove? boolean clear fields of functions that were removed
---@field run? (integer|string)[] top-level statements to run, by line or text
---@field rerun? string|string[] calls to run when they are added or changed, by what they call: "core.register_*", "added:…", "changed:…"
---@field data? moonswap.DataRule|table<string, moonswap.DataRule> data that the text gives as constants; by path, "" for all others
---@field config? boolean update configuration constants (default true)
---@field captures? string|table<string, string> "refuse" (default), "keep-old", "nil" or "expr: …", for all or by name
---@field refused? string|table<string, string> "refuse" (default) or "keep-old": a refused function stays on its code, the rest is applied; for all ([""] in a table) or by function
---@field timing? "deferred-native"|"immediate"|"quiescent"|"checkpoint"
---@field suspended? "finish"|"refuse"|"close"
---@field stale? "finish"|"migrate"
---@field deadline? number seconds
---@field base? integer the generation the patch was made for
---@field guard? { errors: integer, within: number, slow?: number } more errors than this within so many seconds undo the patch, or a call of its code that takes longer than `slow` seconds
---@field author? string who
---@field reason? string why

---One function of a report.
---@class moonswap.Function
---@field chunk string
---@field id string path of the function in its chunk
---@field class "unchanged"|"debug-only"|"swapped"|"moved"|"added"|"removed"|"refused"|"diverged"
---@field old? integer version before
---@field new? integer version now

---Why a function does not run what the text says.
---@class moonswap.Refusal
---@field code string e.g. "P003"
---@field chunk string
---@field id string path of the function in its chunk
---@field line integer
---@field reason string
---@field remedy string

---A running or suspended activation of an old version.
---@class moonswap.Activation
---@field chunk string
---@field id string path of the function in its chunk
---@field version integer
---@field line? integer
---@field thread string
---@field suspended boolean
---@field turn? integer line of the loop at whose next turn it goes on in the new code
---@field reason? string why it stays in the old one

---What becomes of data that nobody changed: it follows the text, is left alone, or is
---replaced whatever it is.
---@alias moonswap.DataRule "merge"|"list"|"replace"

---What became of a variable or field that the text sets to a constant.
---@class moonswap.Merged
---@field chunk string
---@field line integer
---@field path string
---@field before string what the old text put there
---@field after string what the new text puts there
---@field overridden? string what stood there instead and was left alone

---How many activations stay on older code.
---@class moonswap.Staying
---@field activations integer
---@field coroutines integer that they are in, besides the main one
---@field at_least? true not all coroutines were looked at

---What becomes of activations that are asked to move; `tostring` gives one line.
---@class moonswap.Migration
---@field line string
---@field generation integer of the VM
---@field moving integer how many move
---@field staying moonswap.Staying how many do not
---@field migrated moonswap.Activation[] all of them, with `turn` or `reason`

---What was done; `tostring` gives one line.
---@class moonswap.Report
---@field id integer number of the patch, for `rollback`
---@field generation integer of the VM after it
---@field chunk string the first chunk
---@field chunks string[]
---@field line string
---@field functions moonswap.Function[] all that are not unchanged
---@field unchanged integer how many are
---@field warnings string[]
---@field not_run { line: integer, text: string, why: string, option?: string }[] changed top-level statements; `option`: the setting that applies it
---@field data moonswap.Merged[] what became of changed data
---@field diverged moonswap.Refusal[] functions that stay on older code
---@field closed moonswap.Activation[] coroutines that were closed
---@field migrated moonswap.Activation[] old activations, with `turn` or `reason`
---@field staying moonswap.Staying how many activations stay on older code
---@field times { prepare: number, wait: number, load: number, pause: number } seconds; `load` is a part of `prepare`
---@field dry? true only planned
---@field plan? string only of a plan: literal by literal

---What a listener is told.
---@class moonswap.Event
---@field event moonswap.EventName
---@field attempt integer number of the attempt in this VM
---@field source "rust"|"lua"|"thread"|"file"|"watch"|"guard" by which way it was asked for
---@field author? string
---@field reason? string
---@field chunk? string the first chunk
---@field chunks string[]
---@field patch? integer of a rollback: the patch that is undone; of `passed` and `released`: the patch
---@field cause? "errors"|"limit"|"slow" of a rollback by the VM itself
---@field report? moonswap.Report of `after` and `rollback`
---@field kind? string of `refused`: "refused", "compile", "vetoed", …
---@field codes? string[] of `refused`: codes of all refusals
---@field message? string of `refused`

---@alias moonswap.EventName "before"|"after"|"refused"|"rollback"|"passed"|"released"

---Swaps the functions of a loaded module: its file is found as by `require`.
---@param modname string
---@param opts? moonswap.Options
---@return moonswap.Report? report
---@return string? message
function hot.swap(modname, opts) end

---Swaps the functions of the chunk that was loaded from a file.
---@param path string
---@param opts? moonswap.Options
---@return moonswap.Report? report
---@return string? message
function hot.swapfile(path, opts) end

---Swaps the functions of a chunk by its name.
---@param chunkname string
---@param text string
---@param opts? moonswap.Options
---@return moonswap.Report? report
---@return string? message
function hot.swapstring(chunkname, text, opts) end

---Names the calls of this module's main chunk that run again when a patch adds or
---changes them. Reads as data: give a table of strings.
---@param rules string[] as `opts.rerun`
function hot.rerun(rules) end

---Applies a patch file under the policy it carries.
---@param path string
---@param opts? { dry: boolean }
---@return moonswap.Report? report
---@return string? message
function hot.applyfile(path, opts) end

---Several chunks, one commit. `true` reads the text through the loader.
---@param texts table<string, string|true> by module or chunk name
---@param opts? moonswap.Options
---@return moonswap.Report? report
---@return string? message
function hot.transaction(texts, opts) end

---One function: its literal in the chunk's current text is replaced.
---@param f function a Lua function
---@param source string a function expression, `function (a, b) … end`; for a method with `self` first
---@param opts? moonswap.Options
---@return moonswap.Report? report
---@return string? message
function hot.patch(f, source, opts) end

---Restores the code from before a patch and all later ones.
---@param id? integer|moonswap.Report default: the latest patch
---@return moonswap.Report? report
---@return string? message
function hot.rollback(id) end

---Lets running activations and sleeping coroutines that are on older code move to the
---current code, each when it next comes to a place that both codes have.
---@param modname? string only those of this module or chunk
---@return moonswap.Migration? migration
---@return string? message
function hot.migrate(modname) end

---The patches that can be rolled back, oldest first.
---@return { id: integer, generation: integer, chunk: string, chunks: string[], line: string, rollback: boolean, in_force: boolean, author?: string, reason?: string }[]
function hot.history() end

---Patches on probation, oldest first; times in seconds.
---@return { patch: integer, errors: integer, left: integer, rest: number, slow?: number }[]
function hot.probation() end

---Patches that were undone for what their code did, and are refused since.
---@return { patch: integer, errors: integer, hash: string, cause: "errors"|"limit"|"slow", deed: string, chunk: string, chunks: string[] }[]
function hot.quarantine() end

---Lets a patch out of quarantine: by its number, its hash, or its entry in `quarantine()`.
---@param which integer|string|table
---@return true? released
---@return string? message
function hot.release(which) end

---@return { generation: integer, patches: integer, chunks: integer, functions: integer, patched: integer, stale: integer, diverged: integer, probation: integer, quarantined: integer, queued: integer }
function hot.stats() end

---Version of a Lua function, from 1.
---@param f function
---@return integer? version
---@return string? message
function hot.version(f) end

---Versions of all functions of a module or chunk, or of all.
---@param modname? string
---@return { id: string, version: integer, frames: integer, diverged?: string }[]? list
---@return string? message
function hot.versions(modname) end

---Functions that do not run what the text of their chunk says: patches with
---`refused = "keep-old"` left them on older code.
---@param modname? string
---@return moonswap.Refusal[]? list
---@return string? message
function hot.diverged(modname) end

---Activations and suspended coroutines that still run an older version.
---@param modname? string
---@return { id: string, version: integer, line?: integer, thread: string, stack: string, overdue?: true, migration?: string }[]? list
---@return string? message
function hot.frames(modname) end

---The other meaning, for development: runs the module's file again. A table stays
---the same table and takes the new fields.
---@param modname string
---@return any module
---@return string? message
function hot.reload(modname) end

---Made once: what the first call of this name made survives `reload`.
---@generic T
---@param name string
---@param init T|fun(): T
---@return T
function hot.keep(name, init) end

---Patches that would change a protected function are refused; `reload` leaves
---protected functions and tables where they are.
---@generic T: function|table
---@param v T
---@return T v
function hot.protect(v) end

---Calls `f` at each event; answers a function that ends it.
---@param event moonswap.EventName
---@param f fun(about: moonswap.Event)
---@return (fun(): boolean)? off
---@return string? message
function hot.on(event, f) end

---Waits; patches are committed meanwhile.
---@param seconds number
function hot.sleep(seconds) end

return hot
