using System.Diagnostics;
using System.Globalization;
using RatOS.Flash.Builds;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Builds;

/// <summary>
/// A source tree of a few hundred bytes that builds as Klipper's does: the same variables, lines, names and mistakes. Its compiler is a
/// script that takes its time, and what it links is an image that the test laid ready.
/// </summary>
internal sealed class StandInTree : IDisposable
{
    private const string Makefile = """
        OUT=out/
        export KCONFIG_CONFIG := $(CURDIR)/.config
        -include $(KCONFIG_CONFIG)
        CROSS_PREFIX=arm-none-eabi-
        OBJECTS=$(patsubst src/%.c,$(OUT)%.o,$(sort $(wildcard src/*.c)))
        all: $(OUT)klipper.bin
        $(OUT)%.o: src/%.c
        	@mkdir -p $(OUT)
        	@echo "  Compiling $@"
        	@$(CROSS_PREFIX)gcc -c $< -o $@
        $(OUT)klipper.bin: $(OBJECTS)
        	@git describe --always --tags --long --dirty >$(OUT)version || true
        	@echo "  Linking $@"
        	@if [ -e src/overflow ]; then cat src/overflow >&2; exit 1; fi
        	@if [ -e src/during ]; then sh src/during; fi
        	@if [ -e prebuilt/$(CONFIG_MCU).elf ]; then cp prebuilt/$(CONFIG_MCU).elf $(OUT)klipper.elf; \
        	echo ":00000001FF" >$(OUT)klipper.elf.hex; \
        	else cp prebuilt/$(CONFIG_MCU)-$(CONFIG_FLASH_APPLICATION_ADDRESS).bin $@; fi
        olddefconfig:
        	@python3 scripts/complete.py
        menuconfig:
        	@python3 scripts/menu.py
        .PHONY: all olddefconfig menuconfig

        """;

    /// <summary>
    /// Completes a .config as Klipper's Kconfig would: a choice that is not set is its first entry, and what is not known is left out.
    /// </summary>
    private const string Complete = """
        import os
        import rules
        path = os.environ["KCONFIG_CONFIG"]
        asked = rules.read(path)
        rules.write(path, rules.complete(asked))

        """;

    private const string Rules = """
        FAMILIES = ["MACH_AVR", "MACH_STM32", "MACH_RPXXXX"]
        CHIPS = {
            "MACH_AVR": {"MACH_atmega2560": "atmega2560"},
            "MACH_STM32": {
                "MACH_STM32F103": "stm32f103xe", "MACH_STM32F042": "stm32f042x6", "MACH_STM32F446": "stm32f446xx",
                "MACH_STM32G0B1": "stm32g0b1xx",
            },
            "MACH_RPXXXX": {"MACH_RP2040": "rp2040"},
        }
        STARTS = {"MACH_STM32": ["2000", "8000", "0000"], "MACH_RPXXXX": ["0100", "4000"], "MACH_AVR": []}

        def starts(family):
            prefix = "RPXXXX" if family == "MACH_RPXXXX" else "STM32"
            return ["%s_FLASH_START_%s" % (prefix, end) for end in STARTS[family]]

        def clocks(family):
            return ["STM32_CLOCK_REF_%sM" % m for m in (8, 12, 25)] if family == "MACH_STM32" else []

        def complete(asked):
            def choose(options):
                for option in options:
                    if asked.get(option) == "y":
                        return option
                return options[0]
            out = {"LOW_LEVEL_OPTIONS": asked.get("LOW_LEVEL_OPTIONS", "n")}
            family = choose(FAMILIES)
            out[family] = "y"
            chip = choose(list(CHIPS[family]))
            out[chip] = "y"
            out["MCU"] = '"%s"' % CHIPS[family][chip]
            if family == "MACH_AVR":
                out["SERIAL"] = "y"
                out["SERIAL_BAUD"] = asked.get("SERIAL_BAUD", "250000")
            else:
                base = 0x10000000 if family == "MACH_RPXXXX" else 0x8000000
                start = choose(starts(family))
                out[start] = "y"
                out["FLASH_APPLICATION_ADDRESS"] = hex(base + int(start.rsplit("_", 1)[1], 16))
                out["USBSERIAL"] = "y"
                out["CANBUS_FREQUENCY"] = "1000000"
                if family == "MACH_STM32":
                    clock = choose(clocks(family))
                    out[clock] = "y"
                    out["CLOCK_REF_FREQ"] = clock[16:-1] + "000000"
                own = out["LOW_LEVEL_OPTIONS"] == "y" and asked.get("USB_SERIAL_NUMBER_CHIPID") != "y"
                out["USB_SERIAL_NUMBER"] = asked.get("USB_SERIAL_NUMBER", '"12345"') if own else '"12345"'
            return out

        def read(path):
            asked = {}
            for line in open(path):
                if line.startswith("CONFIG_") and "=" in line:
                    name, value = line.strip()[7:].split("=", 1)
                    asked[name] = value
            return asked

        def write(path, out):
            with open(path, "w") as result:
                result.write("# completed\n")
                for name, value in out.items():
                    result.write("# CONFIG_%s is not set\n" % name if value == "n" else "CONFIG_%s=%s\n" % (name, value))

        """;

    /// <summary>As much of kconfiglib's interface as a form uses, over the same rules.</summary>
    private const string Kconfiglib = """
        import os
        import sys
        sys.path.insert(0, os.path.join(os.getcwd(), "scripts"))
        import rules
        BOOL, INT, HEX, STRING = range(4)
        TYPE_TO_STR = {BOOL: "bool", INT: "int", HEX: "hex", STRING: "string"}
        MENU, COMMENT = object(), object()

        class KconfigError(Exception):
            pass

        class Node:
            visibility, list, next, parent = "y", None, None, None
            def __init__(self, item, text, condition="y", help=None):
                self.item, self.prompt, self.help = item, (text, condition), help

        class Symbol:
            choice = None
            def __init__(self, kconf, name, type):
                self.kconf, self.name, self.type, self.nodes, self.ranges = kconf, name, type, [], []
            @property
            def str_value(self):
                return self.kconf.out.get(self.name, "n" if self.type == BOOL else "").strip('"')
            @property
            def assignable(self):
                return (0, 2)
            def set_value(self, value):
                if self.choice and value == "y":
                    for other in self.choice.syms:
                        self.kconf.asked.pop(other.name, None)
                self.kconf.asked[self.name] = '"%s"' % value if self.type == STRING else value
                return True

        class Choice:
            name = None
            def __init__(self, syms):
                self.syms = syms
            @property
            def selection(self):
                return next((sym for sym in self.syms if sym.str_value == "y"), None)

        def expr_value(condition):
            return 2 if condition == "y" or condition() else 0

        class Kconfig:
            def __init__(self, file, warn):
                for number, line in enumerate(open(file), 1):
                    if not line.startswith("#"):
                        getattr(self, line.strip(), self.fail)("%s:%d: couldn't parse '%s'" % (file, number, line.strip()))
                self.asked, self.syms = {}, {}
                is_of = lambda family: lambda: self.out.get(family) == "y"
                expert = lambda: self.out["LOW_LEVEL_OPTIONS"] == "y"
                has_ids = lambda: expert() and "USBSERIAL" in self.out
                menu = Node(MENU, "USB ids", has_ids)
                menu.list = self.add("USB_SERIAL_NUMBER", STRING, "USB serial number", has_ids)
                nodes = [self.add("LOW_LEVEL_OPTIONS", BOOL, "Low-level options", "y", "May break it."),
                         self.choose("Architecture", rules.FAMILIES)]
                for family in rules.FAMILIES:
                    nodes += [self.choose("Processor model", list(rules.CHIPS[family]), is_of(family)),
                              self.choose("Bootloader offset", rules.starts(family), is_of(family)),
                              self.choose("Clock Reference", rules.clocks(family), is_of(family))]
                nodes += [menu, self.add("SERIAL_BAUD", INT, "Baud rate", is_of("MACH_AVR"))]
                self.top_node = Node(MENU, "top")
                self.top_node.list = nodes[0]
                for node, other in zip(nodes, nodes[1:]):
                    node.next = other
                self.unique_defined_syms = list(self.syms.values())
            def fail(self, text):
                raise KconfigError(text)
            def hang(self, text):
                while True:
                    os.read(os.pipe()[0], 1)
            def flood(self, text):
                while True:
                    print("x" * 65536)
            def hoard(self, text):
                return bytearray(1 << 30)
            def add(self, name, type, text, condition="y", help=None):
                symbol = self.syms[name] = Symbol(self, name, type)
                symbol.nodes.append(Node(symbol, text, condition, help))
                return symbol.nodes[0]
            def choose(self, text, names, condition="y"):
                node = Node(Choice([]), text, (lambda: names and expr_value(condition)))
                for name in names:
                    option = self.add(name, BOOL, name.lower(), condition)
                    option.parent, option.item.choice = node, node.item
                    node.item.syms.append(option.item)
                return node
            @property
            def out(self):
                return rules.complete(self.asked)
            def load_config(self, path):
                self.asked = rules.read(path)
            def write_config(self, path, save_old):
                rules.write(path, self.out)

        """;

    /// <summary>The menu: shows what it was given on a terminal, and saves what is typed, completed, or on an empty line nothing.</summary>
    private const string Menu = """
        import os
        import sys
        if not sys.stdin.isatty() or not sys.stdout.isatty():
            sys.exit("no terminal")
        path = os.environ["KCONFIG_CONFIG"]
        text = open(path).read()
        print("MENU of", os.path.basename(path), "TERM", os.environ.get("TERM"), "given", " ".join(text.split()))
        typed = input("> ")
        if typed == "fail":
            sys.exit(3)
        if typed:
            with open(path, "w") as file:
                file.write(text + "".join(line + "\n" for line in typed.split()))
            import complete

        """;

    private const string Compiler = """
        #!/bin/sh
        echo $$ >>@HERE@/pids
        echo "$TMPDIR $(cut -d" " -f19 /proc/$$/stat)" >>@HERE@/compiles
        if [ -e @HERE@/delay ]; then sleep "$(cat @HERE@/delay)"; fi
        if grep -q BROKEN "$2"; then
          echo "$2: In function 'probe_home':" >&2
          echo "$2:12:5: error: unknown type name 'uint33_t'" >&2
          exit 1
        fi
        if grep -q SLOPPY "$2"; then echo "$2:3:1: warning: unused variable 'x'" >&2; fi
        cp "$2" "$4"

        """;

    private static readonly string[] NeededPrograms = ["make", "python3", "git", "setsid", "nice"];

    public StandInTree(bool withGit = true)
    {
        Root = Directory.CreateTempSubdirectory("stand-in-klipper-").FullName;
        Write("Makefile", Makefile);
        Write("scripts/complete.py", Complete);
        Write("scripts/rules.py", Rules);
        Write("lib/kconfiglib/kconfiglib.py", Kconfiglib);
        Write("scripts/menu.py", Menu);
        Write("src/Kconfig", "# stand-in\n");
        Write("src/Makefile", "# stand-in\n");
        Write("klippy/klippy.py", "# the host\n");
        for (var i = 0; i < 6; i++)
            Write($"src/part{i}.c", $"int part{i};\n");
        Write(".gitignore", "out\n*.pyc\n.config\nprebuilt\n");
        foreach (var tool in ((string[])["gcc", "as", "ld", "objcopy"])
            .SelectMany(tool => (string[])["arm-none-eabi-" + tool, "avr-" + tool]))
        {
            var file = Path.Combine(Tools, tool);
            Directory.CreateDirectory(Tools);
            File.WriteAllText(file, Compiler.Replace("@HERE@", Tools, StringComparison.Ordinal));
            Run(Tools, "chmod", ["+x", file]);
        }
        if (!withGit)
            return;
        Git("init", "-q");
        Commit("first");
        Git("tag", "-a", "-m", "release", "v0.13.0");
    }

    public static bool CanBuild => NeededPrograms.All(name => Find(name) is not null);

    /// <summary>Holds the tree, its compiler and the cache of the builders.</summary>
    public string Root { get; }

    public string Folder => Path.Combine(Root, "klipper");

    public string Tools => Path.Combine(Root, "bin");

    public string Cache => Path.Combine(Root, "cache");

    public string SearchPath => $"{Tools}:{Environment.GetEnvironmentVariable("PATH")}";

    public KlipperTree Open() => KlipperTree.Open(Folder);

    public FirmwareBuilder Builder(TimeProvider? time = null) =>
        new(Open(), Cache, time ?? TimeProvider.System) { SearchPath = SearchPath, Cores = 2 };

    public string Describe() => Git("describe", "--always", "--tags", "--long", "--dirty").Trim();

    public void Write(string path, string text)
    {
        var full = Path.Combine(Folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
    }

    /// <summary>Lays the image ready that the next build for this chip and start ends with.</summary>
    public byte[] Prebuild(VirtualChip chip, uint start, string? version = null, string? asChip = null)
    {
        var image = VirtualFirmware.Build(chip, start, version ?? Describe());
        Directory.CreateDirectory(Path.Combine(Folder, "prebuilt"));
        File.WriteAllBytes(Path.Combine(Folder, "prebuilt",
                string.Create(CultureInfo.InvariantCulture, $"\"{asChip ?? chip.Name}\"-0x{start:x}.bin")
                .Replace("\"", "", StringComparison.Ordinal)), image);
        return image;
    }

    public void Commit(string message)
    {
        Git("add", "-A");
        Git("commit", "-q", "-m", message);
    }

    /// <summary>
    /// Git with an identity of its own: git on a fresh computer has no user name, and some users' settings sign commits.
    /// </summary>
    public string Git(params string[] arguments) =>
        Run(Folder, "git", ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false", "-c",
            "tag.gpgsign=false", .. arguments]);

    /// <summary>How often the compiler was called so far.</summary>
    public int Compiles => File.Exists(Path.Combine(Tools, "compiles")) ? File.ReadLines(Path.Combine(Tools, "compiles")).Count() : 0;

    /// <summary>Every file of the tree with its content, git's own included.</summary>
    public Dictionary<string, string> Snapshot() => Directory.EnumerateFileSystemEntries(Folder, "*", SearchOption.AllDirectories)
        .ToDictionary(path => path, path => Directory.Exists(path) ? "folder" : Convert.ToBase64String(File.ReadAllBytes(path)),
            StringComparer.Ordinal);

    public void Dispose() => Directory.Delete(Root, recursive: true);

    private static string? Find(string program) =>
        Environment.GetEnvironmentVariable("PATH")?.Split(':').Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private static string Run(string folder, string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {errors.Result}");
    }
}
