using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary><c>ratos-flash.conf</c>, which browsers can write: as the agent and as the command line read it.</summary>
internal sealed class SettingsTarget : FuzzTarget
{
    public override string Name => "settings";

    public override string Oracle =>
        "Every slip is a fault with its line, the other sections count, and only a confirmed setting decides what is run.";

    public override IEnumerable<string> Tokens =>
    [
        "\n[agent]\n", "\n[board octopus]\n", "\n[board ", "]\n", "policy: always\n", "policy: ask\n", "rollback: auto\n",
        "when_idle: True\n",
        "moonraker_url: ws://127.0.0.1:7125/websocket\n", "moonraker_url: ", "wss://[::1]:1/", "api_key: x\n",
        "klipper_path: /tmp/klipper\n",
        "klipper_service: klipper-1\n", "log_level: info\n", "log_level: 3\n", "id: btt-octopus-11\n", "port: 1-1.2\n",
        "uuid: 0123456789ab\n", "bootloader: katapult\n", "power: Board\n", "#", ";", "=", ":", "\r\n", "\u2028", "\ufeff", "\0",
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        yield return Bytes(
            """
            # a printer
            [agent]
            policy: required
            rollback: auto
            when_idle: True
            moonraker_url: ws://192.168.1.2:7125/websocket
            api_key: 0123456789abcdef
            klipper_path: /home/pi/klipper
            klipper_service: klipper
            log_level: info

            [board octopus]
            id: btt-octopus-11
            port: 1-1.2
            power: Board   ; its own supply

            [board toolhead]
            id: btt-ebb42-12
            uuid: 0123456789ab
            port: can0
            bootloader: katapult
            """);
        yield return Bytes("policy: ask\n[agent\n[board x]\nnonsense\n[agent]\npolicy = never\n");
    }

    public override void Run(byte[] input)
    {
        var data = new DataFolder(ScratchFile.Path("printer_data"));
        ScratchFile.Write("printer_data/config/ratos-flash.conf", input);
        var settings = AgentSettings.ReadValid(data.Settings);
        Hold(settings.Faults.All(fault => !fault.Cause.Any(char.IsControl)), "plain faults");
        Hold(settings.Boards.All(board => board.Name is not null), "boards have names");
        _ = settings.PowerDevices;
        try
        {
            AgentSettings.Read(data.Settings);
            Hold(settings.Faults.IsEmpty, "a file with faults is refused by the command line");
            ConfirmedSettings.Confirm(data);
            Hold(ConfirmedSettings.Of(data).Unconfirmed.IsEmpty, "what was confirmed counts");
            File.Delete(data.Confirmed);
        }
        catch (FlashException)
        {
            Hold(!settings.Faults.IsEmpty, "only a file with faults is refused");
        }
        var used = ConfirmedSettings.OfValid(data);
        Hold(used.KlipperPath is null || used.KlipperPath == new AgentSettings().KlipperSources, "no checkout without a confirmation");
        Hold(used.MoonrakerUrl is null || used.MoonrakerUrl == AgentSettings.LocalMoonraker, "no address without a confirmation");
        _ = used.KlipperSources;
    }
}
