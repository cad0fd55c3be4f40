-- needs: luarocks.core.vers luarocks.persist luarocks.tools.patch
-- The parts of the package manager that work in memory: versions, queries, manifests,
-- rockspec checks, lists, diffs; its command line parser with its own help.
local show = require "show"
local p, try = show.p, show.try
local vers, persist, util, fun = require "luarocks.core.vers", require "luarocks.persist", require "luarocks.util", require "luarocks.fun"
local queries, type_check, type_rockspec, type_manifest = require "luarocks.queries", require "luarocks.type_check", require "luarocks.type.rockspec", require "luarocks.type.manifest"
local dir, core_util = require "luarocks.dir", require "luarocks.core.util"

-- versions
local versions = { "1.0", "1.0-1", "1.0-2", "1.0.1", "1.1beta2", "1.1rc1", "1.1", "2.0alpha", "scm", "dev-1", "cvs-3", "0.9.9-10", "10.0", "1.0pre1", "1.0work", "1.0x", "5.4.6-1", "20131010-1" }
for _, v in ipairs(versions) do
  local parsed = vers.parse_version(v)
  p(v, parsed and show.keys(parsed), parsed and parsed.revision, parsed and tostring(parsed))
end
local sorted = {}
for i, v in ipairs(versions) do sorted[i] = v end
table.sort(sorted, function(a, b) return vers.compare_versions(a, b) end)
p("sorted", sorted)
for _, a in ipairs(versions) do
  local row = {}
  for i, b in ipairs(versions) do row[i] = vers.compare_versions(a, b) and ">" or vers.parse_version(a) == vers.parse_version(b) and "=" or "<" end
  print(a, table.concat(row))
end
for _, constraints in ipairs { ">= 1.0", "< 2.0, > 1.0", "~> 1.0", "== 1.1", "~= 1.0-1", "~> 5.4, < 5.5" } do
  local ok, query, why = pcall(queries.from_dep_string, "name " .. constraints)
  if not ok then query = nil end
  local parsed = query and query.constraints
  local row = {}
  for i, v in ipairs(versions) do row[i] = parsed and vers.match_constraints(vers.parse_version(v), parsed) and "y" or "n" end
  print(constraints, ok, table.concat(row), why)
end
for _, text in ipairs { "lua >= 5.1", "lpeg", "foo == 1.0-1", "a/b ~> 2", "name >= x", "bad name !", ">= 5", "", "x >= 1, < 2, ~= 1.5" } do
  local ok, query, why = pcall(queries.from_dep_string, text)
  if not ok then query = nil end
  p("dep " .. text, query and query.name, query and query.namespace, query and tostring(query), why)
end

-- tables as files
local value = { package = "demo", version = "1.0-1", list = { "a", "b", { nested = true } }, ["odd key"] = 5, number = 1.5, empty = {}, text = "two\nlines [[brackets]]", [10] = "ten" }
print(persist.save_from_table_to_string(value))
print(persist.save_from_table_to_string(value, { { "version" }, { "package" } }))
local env = {}
p("load", core_util and persist.load_config_file_if_basic and true)
try("save", persist.save_from_table_to_string, { [{}] = 1 })

-- rockspecs
local spec = {
  rockspec_format = "3.0", package = "Demo", version = "1.2-3", source = { url = "git+https://example.org/demo.git", tag = "v1.2" },
  description = { summary = "A demo", detailed = "Long", license = "MIT", homepage = "http://example.org", labels = { "demo" } },
  dependencies = { "lua >= 5.1", "lpeg ~> 1" }, build = { type = "builtin", modules = { demo = "src/demo.lua", ["demo.core"] = { "src/core.c" } }, install = { bin = { "bin/demo" } } },
}
local globals = {}
p("check", type_rockspec.check(spec, globals))
for field, bad in pairs { package = 5, version = "no version", dependencies = "lua", build = { type = 5 }, source = { url = false }, description = { license = {} }, unknown = 1 } do
  local changed = {}
  for k, v in pairs(spec) do changed[k] = v end
  changed[field] = bad
  local ok, why = type_rockspec.check(changed, {})
  sorted[#sorted + 1] = field .. " " .. tostring(ok) .. " " .. tostring(why)
end
table.sort(sorted)
print(table.concat(sorted, "\n"))
p("manifest", type_manifest.check({ repository = { demo = { ["1.0-1"] = { { arch = "rockspec" } } } }, modules = {}, commands = {} }, {}))
p("manifest", type_manifest.check({ repository = { demo = { ["1.0-1"] = { { arch = 5 } } } }, modules = {}, commands = {} }, {}))
p("manifest", type_manifest.check({ repository = {}, modules = {} }, {}))

-- lists and tables
p("fun", fun.concat({ 1, 2 }, { 3 }), fun.contains({ 1 }, 1), fun.map({ 1, 2 }, function(v) return v * v end), fun.filter({ 1, 2, 3 }, function(v) return v > 1 end), fun.reverse_in { 1, 2, 3 }, fun.sort_in({ 3, 1, 2 }), fun.flip(function(a, b) return a - b end)(1, 5), fun.find({ 1, 2, 3 }, function(v) return v > 1 and v * 10 end), fun.partial(math.max, 5)(3))
p("util", util.keys { only = 1 }, util.matchquote "a.b%c", util.array_contains and util.array_contains({ 1, 2 }, 2), util.deep_copy { 1, { 2 } }, util.deep_merge and util.deep_merge({ a = { b = 1 } }, { a = { c = 2 } }))
local keys = {}
for k, v in util.sortedpairs { b = 2, a = 1, [3] = "n", c = { 1 } } do keys[#keys + 1] = tostring(k) end
for k, v in util.sortedpairs({ b = 2, a = 1, c = 3 }, { "c", { "b" } }) do keys[#keys + 1] = k end
p("sortedpairs", keys, util.see_help and type(util.see_help()), util.split_namespace "user/rock", util.split_namespace "rock")
local merged = { a = 1, t = { x = 1 } }
core_util.deep_merge(merged, { b = 2, t = { y = 2 } })
p("merged", merged, core_util.cleanup_path("a:b:a:c", ":", "5.4", true), core_util.warning and true, core_util.popen_read and true, core_util.show_table({ k = { 1 } }, "name"))
local subst = { V = "/usr", W = "x$(V)" }
util.variable_substitutions(subst, { V = "/opt" })
p("substituted", subst)

-- paths and addresses
p("dir", dir.path("a", "b", "/c"), dir.base_name "a/b/c.txt", dir.dir_name "a/b/c.txt", dir.normalize "a/./b/../c//d", dir.split_url "http://x.org/y", dir.split_url "/local/file", dir.is_basic_protocol and dir.is_basic_protocol "https", dir.deduce_base_dir and dir.deduce_base_dir "http://x/y/name-1.0.tar.gz")

-- unified diffs
local patch = require "luarocks.tools.patch"
local name = os.tmpname()
do
  local file <close> = assert(io.open(name, "w"))
  file:write "--- a/hello.txt\n+++ b/hello.txt\n@@ -1,4 +1,5 @@\n one\n-two\n+zwei\n three\n+extra\n four\n@@ -10,2 +11,1 @@\n ten\n-eleven\n"
end
local parsed, all_ok = patch.read_patch(name)
p("patch", parsed, all_ok)
os.remove(name)

-- its own argument parser
local parser = require "luarocks.argparse" "rocks":description "A manager."
parser:command_target "cmd"
for _, command in ipairs { "install", "remove", "list", "search" } do
  local c = parser:command(command, "To " .. command .. " a rock.")
  c:argument "rock":args "?"
  c:option "--tree":description "Which tree."
  c:flag "--force"
end
print(parser:get_help())
p("parsed", parser:pparse { "install", "lpeg", "--tree", "/tmp", "--force" })
p("parsed", parser:pparse { "instal" })
