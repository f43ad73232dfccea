using System.Text.Json.Nodes;
using RatOS.Flash.Virtual;

namespace RatOS.Flash.Tests.Moonraker;

/// <summary>The virtual Moonraker over real sockets, and what can go wrong with them.</summary>
public sealed class MoonrakerSocketTests
{
    private static JsonObject Method(string name) => new() { ["method_name"] = name };

    private static JsonObject Script(string script) => new() { ["script"] = script };

    [Fact]
    public void A_macro_reaches_the_agent_on_the_unix_socket() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var agent = await stage.ConnectUnixAsync();
        await agent.IdentifyAsync();
        Assert.Equal("ok", (string?)await agent.ResultAsync("connection.register_remote_method", Method("ratos_flash_mcu")));
        Assert.Contains("400 Error evaluating 'gcode_macro FLASH_MCU:gcode': gcode.CommandError: FLASH_MCU: ", await agent.ErrorAsync("printer.gcode.script", Script("FLASH_MCU BOARD=octopus")), StringComparison.Ordinal);
        await agent.ResultAsync("printer.gcode.script", Script("SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE=alive VALUE=1"));
        Assert.Equal("ok", (string?)await agent.ResultAsync("printer.gcode.script", Script("FLASH_MCU BOARD=Octopus FORCE=1")));
        Assert.Equal("""{"jsonrpc":"2.0","method":"ratos_flash_mcu","params":{"board":"octopus","force":1,"hot":0}}""", agent.Heard[^1].ToJsonString());
    });

    [Fact]
    public void Klipper_is_stopped_and_started_by_the_service_manager_behind_the_answer() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var agent = await stage.ConnectUnixAsync();
        await agent.ResultAsync("machine.services.stop", new JsonObject { ["service"] = "klipper" });
        Assert.True(stage.Printer.Klippy.IsRunning);
        await stage.WaitAsync(() => agent.Methods.Contains("notify_service_state_changed"));
        Assert.Equal(["notify_klippy_disconnected", "notify_service_state_changed"], agent.Methods);
        Assert.Equal("503 Klippy Host not connected", await agent.ErrorAsync("printer.info"));
        agent.Heard.Clear();
        await agent.ResultAsync("machine.services.start", new JsonObject { ["service"] = "klipper" });
        await stage.WaitAsync(() => agent.Methods.Contains("notify_klippy_ready"));
        Assert.Equal(["notify_service_state_changed", "notify_klippy_ready"], agent.Methods);
    });
}
