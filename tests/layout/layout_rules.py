"""The rules that keep the project's parts apart, checked on a source tree and on the objects that were built from it.

The picture of the rooms is docs/design.md's: the code block that begins with the line "tests". A line names a room or
several, says what is in it, and after "needs" the rooms below it. README.md shows the same picture.

Each check_* takes the root of a tree and returns a list of violations: "file:line: what is wrong and what is allowed".
"""
import graphlib
import pathlib
import re
import subprocess

SOURCES = {".h", ".cc", ".inc"}
# Where the compiler looks for a file in quotation marks, after the including file's own folder.
INCLUDE_ROOTS = ["libslm/include", "libslm/src", "kernels", "tools", "tools/bench", "tools/chat", "tests", "bench"]
# What other folders may include of the kernels.
KERNELS_INTERFACE = {"kernels/dispatch.h", "kernels/formats.h", "kernels/kernels.h"}
# Headers in angle brackets that a room may include besides the C++ standard library's; names ending in "/" stand for
# all below. tests and bench may use any.
FOREIGN = {
    "libslm/include": [],
    "base": ["sched.h", "xxhash.h"],
    "file": ["fcntl.h", "sys/mman.h", "sys/stat.h", "unistd.h"],
    "text": [], "model": [], "jinja": [], "sample": [], "session": [],
    "forward": ["omp.h", "sched.h", "unistd.h"],
    "chat": ["nlohmann/"],
    "kernels": ["xsimd/", "immintrin.h", "arm_neon.h", "cpuid.h", "sys/auxv.h", "unistd.h", "sys/sysctl.h", "asm/hwcap.h"],
    "tools": ["CLI/", "nlohmann/", "xxhash.h", "histedit.h", "fcntl.h", "poll.h", "signal.h", "sys/", "termios.h",
              "unistd.h"],
}
CMAKE_FOLDERS = ["kernels", "libslm", "tools", "tests", "bench", "cmake", "third_party"]
LONGEST_FILE, LONGEST_PUBLIC_HEADER = 500, 200
# The one type of the library's own that public headers may name: a friend, through which it reaches what they hide.
INTERNAL_FRIEND = "Internal"


def picture(root):
    """The code block, and what it says: {room: rooms it needs}."""
    text = (root / "docs/design.md").read_text()
    block = re.search(r"^```\n(tests .*?)^```$", text, re.M | re.S)
    if not block:
        raise ValueError("docs/design.md has no code block that begins with the line of tests")
    needs = {}
    for line in block[1].splitlines():
        found = re.match(r" *(?:src/)?([\w/]+) .*? needs? (.*)$", line)
        if found:
            needs[found[1]] = [name.strip() for name in found[2].split(",")]
    return block[1], needs


def room_of(path):
    """The room of a file given from the root."""
    parts = path.split("/")
    if parts[:2] == ["libslm", "src"]:
        return parts[2]
    return "libslm/include" if parts[0] == "libslm" else parts[0]


def allowed_rooms(needs):
    """{room: all rooms at or below it}."""
    below = {}
    for room in graphlib.TopologicalSorter(needs).static_order():  # raises where the picture has a circle
        below[room] = {room}.union(*(below[name] for name in needs.get(room, [])))
    return below


def sources(root, folders=("libslm", "kernels", "tools", "tests", "bench")):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SOURCES:
                yield path.relative_to(root).as_posix(), path.read_text(errors="replace").splitlines()


def resolve(root, file, name):
    """The file that a name in quotation marks means, from the root; None if it is not of this tree."""
    for folder in [(root / file).parent] + [root / include for include in INCLUDE_ROOTS]:
        path = (folder / name).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path.relative_to(root.resolve()).as_posix()
    return None


def includes(root):
    """(file, line number, quotation mark, name) of each #include; a name of None where it is a macro."""
    for file, lines in sources(root):
        for number, line in enumerate(lines, 1):
            if re.match(r"\s*#\s*include\b", line):
                found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
                yield (file, number, found[1], found[2]) if found else (file, number, "", None)


def check_includes(root):
    """Includes follow the picture's arrows, and foreign headers are where they belong."""
    below = allowed_rooms(picture(root)[1])
    violations = []
    for file, number, mark, name in includes(root):
        room = room_of(file)

        def wrong(what):
            violations.append(f"{file}:{number}: {what}")

        if name is None:
            wrong("an #include must name a file, not a macro")
        elif mark == "<":
            foreign = FOREIGN.get(room)
            if re.search(r"[/.]", name) and foreign is not None:
                if not any(name.startswith(own) if own.endswith("/") else name == own for own in foreign):
                    wrong(f"<{name}> does not belong in {room}; besides the standard library it may use {foreign}")
        else:
            target = resolve(root, file, name)
            if target is None:
                wrong(f'"{name}" is no file of this project; other libraries are included with <...>')
            elif room_of(target) not in below.get(room, set()):
                wrong(f"{target} must not be included from {room}, which needs {sorted(below.get(room, []))}")
            elif room_of(target) == "kernels" and room not in ("kernels", "tests", "bench") and (
                    target not in KERNELS_INTERFACE):
                wrong(f"{target} is the kernels' own; others include {sorted(KERNELS_INTERFACE)}")
    return violations


def check_circles(root):
    """No two folders include each other, whatever the picture allows: not through others either."""
    graph = {}
    for file, _, mark, name in includes(root):
        target = resolve(root, file, name) if mark == '"' else None
        if target is not None and room_of(target) != room_of(file):
            graph.setdefault(room_of(file), set()).add(room_of(target))
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [f"{' <- '.join(error.args[1])}: these folders include each other"]
    return []


def check_picture(root):
    """Every room is in the picture, and README.md shows the same one."""
    block, needs = picture(root)
    violations = []
    if block not in (root / "README.md").read_text():
        violations.append("README.md: the picture of the rooms is another one than docs/design.md's")
    for room in sorted({room_of(file) for file, _ in sources(root)} - set(needs)):
        violations.append(f"docs/design.md: the picture has no room {room}")
    return violations


def check_architecture_names(root):
    """Below the table nothing asks for an architecture by its name."""
    table = (root / "libslm/src/model/arch_table.cc").read_text()
    names = re.findall(r'\.name = "(\w+)"', table)
    compared = re.compile(r'(?:[=!]= ?|starts_with\(|ends_with\(|contains\(|find\(|compare\()"(\w+)"|"(\w+)" ?[=!]=')
    violations = []
    for file, lines in sources(root, ["libslm/src"]):
        if file.endswith("model/arch_table.cc"):
            continue
        for number, line in enumerate(lines, 1):
            literals = {a or b for a, b in compared.findall(line)}
            for literal in sorted(literals):
                if any(name.startswith(literal) and len(literal) > 2 for name in names):
                    violations.append(f'{file}:{number}: compares with the architecture "{literal}"; what differs '
                                      "between architectures is a field of their row in model/arch_table.cc")
            if '"general.architecture"' in line and room_of(file) not in ("file", "model"):
                violations.append(f"{file}:{number}: asks for general.architecture; the row has what differs")
    return violations


def check_public_headers(root):
    """Public headers name no types of the library's own, and give no access to what is private to it."""
    headers = list(sources(root, ["libslm/include"]))
    # At namespace scope: nothing is indented there.
    defined = set(re.findall(r"^(?:class|struct|enum class) (?:\[\[nodiscard\]\] )?(\w+)[^;]*\{",
                             "\n".join(line for _, lines in headers for line in lines), re.M))
    violations = []
    for file, lines in headers:
        for number, line in enumerate(lines, 1):
            found = re.match(r"(?:class|struct) (\w+);", line)
            if found and found[1] not in defined | {INTERNAL_FRIEND}:
                violations.append(f"{file}:{number}: {found[1]} is not defined in a public header: an internal leaks")
            if re.search(rf"\b{INTERNAL_FRIEND}\b", line) and not re.fullmatch(
                    rf"(struct|  friend struct) {INTERNAL_FRIEND};( *//.*)?", line):
                violations.append(f"{file}:{number}: {INTERNAL_FRIEND} is for friendship only")
            if re.search(r"private to the library|the library's own|[Ii]nternal to the library", line):
                violations.append(f"{file}:{number}: what is private to the library does not belong here")
    return violations


def check_sizes(root):
    """Files and public headers stay readable."""
    violations = []
    for file, lines in sources(root):
        longest = LONGEST_PUBLIC_HEADER if file.startswith("libslm/include/") else LONGEST_FILE
        if len(lines) > longest and not file.endswith(".inc"):  # tables made by a script
            violations.append(f"{file}: has {len(lines)} lines, more than {longest}; split it by subject")
    return violations


# Flags that no target may have, and how those begin that only a file under kernels/isa may have.
INEXACT = "ffast-math|Ofast|funsafe-math-optimizations|fassociative-math|ffinite-math-only|freciprocal-math"
INSTRUCTION_SET = "m(?:arch|cpu|tune|fpu|avx|sse|ssse|fma|f16c|bmi|lzcnt|popcnt|amx|sve)"


def check_compiler_flags(root):
    """Instruction-set flags only for files under kernels/isa, and none that make results depend on the machine."""
    def is_cmake(path):
        return path.name in ("CMakeLists.txt", "CMakePresets.json") or path.name.endswith((".cmake", ".cmake.in"))

    files = [path for path in root.iterdir() if path.is_file()]
    for folder in CMAKE_FOLDERS:
        files += (path for path in sorted((root / folder).rglob("*")) if path.is_file())
    violations = []
    for path in filter(is_cmake, files):
        file = path.relative_to(root).as_posix()
        text = re.sub(r"(^|\s)#[^\n]*", r"\1", path.read_text())
        for found in re.finditer(rf"-(?:{INEXACT}|{INSTRUCTION_SET}[\w=.+-]*)", text):
            command = text[text.rfind("(", 0, found.start()) + 1:found.start()]
            if re.fullmatch(rf"-(?:{INEXACT}|m(?:arch|cpu|tune)=native)", found[0]):
                violations.append(f"{file}: {found[0]} makes results depend on the compiler or the building machine")
            elif not (file == "kernels/CMakeLists.txt" and "isa/" in command):
                violations.append(f"{file}: {found[0]} is an instruction-set flag; only a file under kernels/isa may "
                                  "have one, by slm_add_kernels in kernels/CMakeLists.txt")
    return violations


# Weak all the same: xsimd takes the addresses of functions that do nothing but give a register of NEON another type.
HARMLESS = "xsimd::kernel::wrap::"


def check_isa_objects(objects, nm="nm"):
    """Objects compiled with instruction-set flags define nothing that the linker could keep for all the program."""
    violations = []
    for path in objects:
        listed = subprocess.run([nm, "--defined-only", "--demangle", path], capture_output=True, text=True, check=True)
        for line in listed.stdout.splitlines():
            kind, _, name = line.partition(" ")[2].partition(" ")
            if kind in ("W", "w", "V", "v", "u") and HARMLESS not in name:
                violations.append(f"{pathlib.PurePath(path).name}: the symbol {name} is weak ({kind}): the linker may "
                                  "take this copy of it for processors that can't run it")
    return violations
