using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Tests;

/// <summary>What people write into ratos-flash.conf, and what the agent says to G-code.</summary>
public sealed class SettingsTests
{
    private static AgentSettings Read(string text)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, text);
            return AgentSettings.Read(file);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static string Root
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(folder.FullName, "RatOS.Flash.sln")))
                folder = folder.Parent!;
            return folder.FullName;
        }
    }

    [Fact]
    public void A_board_may_be_of_a_kind_that_only_the_installed_RatOS_knows()
    {
        var folder = Directory.CreateTempSubdirectory("rf-");
        try
        {
            var boards = Directory.CreateDirectory(Path.Combine(folder.FullName, "RatOS", "boards", "btt-octopus-12"));
            File.WriteAllText(Path.Combine(boards.FullName, "board-definition.json"),
                """{"id": "btt-octopus-12", "name": "Octopus V1.2", "manufacturer": "BIGTREETECH"}""");
            File.WriteAllText(Path.Combine(boards.FullName, "firmware.config"),
                "CONFIG_MACH_STM32=y\nCONFIG_MACH_STM32F446=y\nCONFIG_MCU=\"stm32f446xx\"\n"
                + "CONFIG_FLASH_APPLICATION_ADDRESS=0x8008000\nCONFIG_USBSERIAL=y\n");
            var path = Path.Combine(folder.FullName, "ratos-flash.conf");
            File.WriteAllText(path, "[board mine]\nid: btt-octopus-12\n");
            var board = AgentSettings.Read(path).Boards.Single().Board;
            Assert.Equal(("btt-octopus-12", "stm32f446xx", 0x0800_8000u), (board.Id, board.McuName, board.ApplicationStart));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void The_shipped_file_has_the_default_settings()
    {
        var shipped = AgentSettings.Read(Path.Combine(Root, "config", "ratos-flash.conf"));
        Assert.Equal(new AgentSettings() with { LogLevel = shipped.LogLevel, Boards = shipped.Boards }, shipped);
        Assert.Empty(shipped.Boards);
        Assert.Equal((FlashPolicy.Ask, RollbackPolicy.Ask), (shipped.Policy, shipped.Rollback));
        Assert.Equal(shipped.Policy, AgentSettings.Read("/nowhere/ratos-flash.conf").Policy);
    }

    [Fact]
    public void Every_setting_is_read()
    {
        var settings = Read("""
            # a comment
            [agent]
            policy: changed ; as the version says
            rollback: Auto
            when_idle = true
            klipper_service: klipper-1
            moonraker_url: ws://192.168.1.7:7125/websocket
            api_key: abc#def
            log_level: warning

            [board toolhead]
            id: btt-ebb42-12
            uuid: a19f7f1b35c1
            port: can1
            [board btt-octopus-11]
            port: 1-1.3
            bootloader: katapult
            """);
        Assert.Equal((FlashPolicy.Changed, true, "klipper-1", "abc#def"),
            (settings.Policy, settings.WhenIdle, settings.KlipperService, settings.ApiKey));
        Assert.Equal(RollbackPolicy.Auto, settings.Rollback);
        Assert.Equal("192.168.1.7", settings.MoonrakerUrl?.Host);
        Assert.Equal(Serilog.Events.LogEventLevel.Warning, settings.LogLevel);
        Assert.Equal(("toolhead", "can1", "a19f7f1b35c1"),
            (settings.Boards[0].Name, settings.Boards[0].CanInterface, settings.Boards[0].CanUuid.ToString()));
        Assert.Equal(("btt-octopus-11", "1-1.3", true, "katapult"),
            (settings.Boards[1].Board.Id, settings.Boards[1].Port, settings.Boards[1].OnlyByPort, settings.Boards[1].Bootloader?.Name));
    }

    [Theory]
    [InlineData("usb", BuildLink.Usb, null, null)]
    [InlineData("usb PB14_PB15", BuildLink.Usb, "PB14_PB15", null)]
    [InlineData("uart USART2 250000", BuildLink.Uart, "USART2", 250_000)]
    [InlineData("uart 115200", BuildLink.Uart, null, 115_200)]
    [InlineData("can PB8_PB9 1000000", BuildLink.Can, "PB8_PB9", 1_000_000)]
    [InlineData("can 4_5 500000", BuildLink.Can, "4_5", 500_000)]
    [InlineData("Bridge PB8_PB9", BuildLink.UsbCanBridge, "PB8_PB9", null)]
    public void A_board_may_have_single_facts(string text, BuildLink link, string? pins, int? rate)
    {
        var board = Read($"[board mine]\nchip: STM32F446xx\nstart: 0x8008000\nclock: 12 MHz\nlink: {text}\n").Boards.Single();
        var facts = Assert.Single(board.Facts);
        Assert.Equal((FactSource.User, "ratos-flash.conf"), (facts.Source, facts.Where));
        Assert.Equal(("stm32f446xx", 0x0800_8000u, 12_000_000), (facts.Chip, facts.ApplicationStart, facts.ClockReference));
        Assert.Equal(new BuildTransport(link, pins, rate), facts.Link);
        Assert.Equal(("stm32f446xx", FactSource.User), (board.Profile.Chip?.Value, board.Profile.Chip?.Source));
    }

    [Theory]
    [InlineData("clock: internal", null, 1)]
    [InlineData("clock: 25000000", null, 25_000_000)]
    [InlineData("start: 08008000", 0x0800_8000u, null)]
    [InlineData("start: 0x10000100", 0x1000_0100u, null)]
    public void Each_fact_may_stand_alone(string line, uint? start, int? clock)
    {
        var facts = Assert.Single(Read($"[board mine]\n{line}\n").Boards.Single().Facts);
        Assert.Equal((start, clock, (string?)null), (facts.ApplicationStart, facts.ClockReference, facts.Chip));
    }

    [Theory]
    [InlineData("chip: stm32f44xx", "; names like it: stm32f446xx")]
    [InlineData("chip: z80!", "is no chip by Klipper's name")]
    [InlineData("start: here", "is no address such as 0x8008000")]
    [InlineData("start: 32768", "is no address such as 0x8008000")]
    [InlineData("clock: fast", "is no crystal such as 8000000")]
    [InlineData("clock: 999999 MHz", "is no crystal such as 8000000")]
    [InlineData("link: wifi", "is no link such as `usb`")]
    [InlineData("link: can PB8_PB9 1000000 twice", "is no link such as `usb`")]
    [InlineData("link: usb 250000", "is no link such as `usb`")]
    [InlineData("link: uart $(reboot)", "is no link such as `usb`")]
    [InlineData("link: can 2000000", "2000000 is no rate from 10000 to 1000000")]
    public void A_bad_fact_is_named_with_its_line_and_leaves_the_other_sections(string line, string words)
    {
        using var file = new TextFile($"[agent]\npolicy: always\n[board mine]\nid: btt-octopus-11\n{line}\n");
        var settings = AgentSettings.ReadValid(file.Path);
        Assert.Equal(FlashPolicy.Always, settings.Policy);
        Assert.Empty(settings.Boards);
        var fault = Assert.Single(settings.Faults);
        Assert.Contains("line 5", fault.Cause, StringComparison.Ordinal);
        Assert.Contains(words, fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_start_that_Klipper_does_not_build_for_is_refused_with_those_that_it_does()
    {
        using var file = new TextFile("[board mine]\nchip: stm32f446xx\nstart: 0x8001000\n");
        Assert.Contains("08001000 on a stm32f446xx, only for 0x8000000, 0x8008000, 0x8010000",
            Assert.Single(AgentSettings.ReadValid(file.Path).Faults).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_bad_line_leaves_out_its_own_section()
    {
        using var file = new TextFile("""
            [agent]
            policy: always
            colour: red
            [board btt-octopus-11]
            port: 1-1.3
            [board x]
            id: no-such-kind
            [agnet]
            """);
        var settings = AgentSettings.ReadValid(file.Path);
        // Not "always" without the rest of its section: that could lack `when_idle`.
        Assert.Equal(FlashPolicy.Ask, settings.Policy);
        Assert.Equal("btt-octopus-11", Assert.Single(settings.Boards).Name);
        Assert.Equal(["3", "7", "8"], settings.Faults.Select(fault => fault.Cause.Split("line ")[1].Split(':')[0]));
    }

    /// <summary>Every browser of the network can upload it.</summary>
    [Theory]
    [InlineData("sections", "300 sections, and at most 256")]
    [InlineData("bytes", "at most 262144 are read")]
    [InlineData("pipe", "no regular file")]
    public void A_file_that_is_none_of_settings_costs_nothing(string kind, string why)
    {
        using var file = new TextFile(kind switch
        {
            "sections" => string.Concat(Enumerable.Range(0, 300).Select(i => $"[board b{i}]\n")),
            _ => new string('#', 300 * 1024),
        });
        if (kind == "pipe")
        {
            File.Delete(file.Path);
            using var made = System.Diagnostics.Process.Start("mkfifo", [file.Path]);
            made.WaitForExit();
        }
        var settings = AgentSettings.ReadValid(file.Path);
        Assert.Contains(why, Assert.Single(settings.Faults).Cause, StringComparison.Ordinal);
        Assert.Empty(settings.Boards);
    }

    [Fact]
    public void An_unreadable_file_has_all_defaults_and_a_fault()
    {
        var settings = AgentSettings.ReadValid("/proc/self/mem");
        Assert.Contains("cannot be read", Assert.Single(settings.Faults).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void Moonrakers_address_of_the_settings_counts_although_its_socket_is_there()
    {
        using var socket = new TextFile("");
        var url = new Uri("ws://192.168.1.7:7125/websocket");
        Assert.Equal(url, new MoonrakerEndpoint(socket.Path, url).Web);
        Assert.Null(new MoonrakerEndpoint(socket.Path).Web);
        Assert.Equal("ws://127.0.0.1:7125/websocket", new MoonrakerEndpoint("/nowhere/moonraker.sock").Web?.ToString());
    }

    [Theory]
    [InlineData("[server]\nhost: 0.0.0.0\nport: 7126\n", 7126)]
    [InlineData("[server]\nport: 7126\n[include other.conf]\n", 7127)]   // the later one counts
    [InlineData("[server]\nport: 99999\n", 7125)]
    [InlineData("[server]\nport: 80 # no number\n[server]\n", 7125)]
    [InlineData("\0\xff[[[", 7125)]
    public void Without_its_socket_Moonraker_is_where_its_configuration_says(string text, int port)
    {
        var data = Directory.CreateTempSubdirectory();
        try
        {
            var config = data.CreateSubdirectory("config").FullName;
            File.WriteAllText(Path.Combine(config, "moonraker.conf"), text);
            File.WriteAllText(Path.Combine(config, "other.conf"), "[server]\nport: 7127\n");
            Assert.Equal(port, new MoonrakerEndpoint(Path.Combine(data.FullName, "comms", "moonraker.sock")).Web!.Port);
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    private sealed class TextFile : IDisposable
    {
        public TextFile(string text) => File.WriteAllText(Path, text);

        public string Path { get; } = System.IO.Path.GetTempFileName();

        public void Dispose() => File.Delete(Path);
    }

    [Theory]
    [InlineData("[agent]\npolicy: perhaps", 2)]
    [InlineData("[agent]\npolicy: 3", 2)]
    [InlineData("[agent]\nrollback: perhaps", 2)]
    [InlineData("[agent]\nrollback: 1", 2)]
    [InlineData("[agent]\nwhen_idle: 7", 2)]
    [InlineData("[agent]\n\nmoonraker_url: http://x", 3)]
    [InlineData("[agent]\nklipper_service: klipper; reboot", 0)]   // a comment: it is klipper
    [InlineData("[agent]\nklipper_service: $(reboot)", 2)]
    [InlineData("[agent]\nlog_level: loud", 2)]
    [InlineData("[agent]\ncolour: red", 2)]
    [InlineData("[agent\npolicy: ask", 1)]
    [InlineData("policy: ask", 1)]
    [InlineData("[agent]\nnonsense", 2)]
    [InlineData("[agnet]\npolicy: ask", 1)]
    [InlineData("[board x]\nid: no-such-kind", 2)]
    [InlineData("[board btt-octopus-11]\nuuid: zz", 2)]
    [InlineData("[board btt-octopus-11]\nbootloader: magic", 2)]
    [InlineData("[board btt-octopus-11]\ncolour: red", 2)]
    public void An_invalid_line_is_named(string text, int line)
    {
        if (line == 0)
        {
            Assert.Equal("klipper", Read(text.Replace("r;", "r ;", StringComparison.Ordinal)).KlipperService);
            return;
        }
        var fault = Assert.Throws<FlashException>(() => Read(text));
        Assert.Equal("bad-settings", fault.Code);
        Assert.Contains($", line {line}:", fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_board_may_be_described_by_what_differs_alone()
    {
        var board = Assert.Single(Read("[board toolhead]\npower: psu\n").Boards);
        Assert.Equal(("toolhead", true, "psu"), (board.Name, board.Board.IsUnknown, board.Power));
    }

    [Theory]
    [InlineData("// plain", "RESPOND TYPE=command MSG=\"plain\"")]
    [InlineData("!! it's \"bad\"; M112 # *x", "RESPOND TYPE=error MSG=\"it's 'bad', M112    x\"")]
    [InlineData("// two\nlines", "RESPOND TYPE=command MSG=\"two?lines\"")]
    [InlineData("// 50 °C \\ end", "RESPOND TYPE=command MSG=\"50 ?C / end\"")]
    public void A_console_line_is_one_RESPOND_command_and_nothing_else(string line, string gcode) =>
        Assert.Equal(gcode, ConsoleText.Respond(line));
}
