using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A browser that writes ratos-flash.conf decides neither what is executed nor where the agent connects.</summary>
public sealed class ConfirmedSettingsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rf-");

    private DataFolder Data => new(_folder.FullName);

    public void Dispose() => _folder.Delete(recursive: true);

    private AgentSettings With(string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Data.Settings)!);
        File.WriteAllText(Data.Settings, $"[agent]\npolicy: always\n{text}");
        return ConfirmedSettings.Of(Data);
    }

    [Fact]
    public void A_checkout_that_was_not_confirmed_is_not_used_and_neither_is_the_usual_one()
    {
        var settings = With("klipper_path: /home/pi/printer_data/config/evil\n");
        Assert.Equal((null, null), (settings.KlipperPath, settings.KlipperSources));
        Assert.Equal("klipper_path: /home/pi/printer_data/config/evil", $"{Assert.Single(settings.Unconfirmed)}");
        Assert.Equal(FlashPolicy.Always, settings.Policy);

        ConfirmedSettings.Confirm(Data);
        Assert.Equal("/home/pi/printer_data/config/evil", ConfirmedSettings.Of(Data).KlipperPath);
        Assert.Empty(ConfirmedSettings.Of(Data).Unconfirmed);
        // Another value needs another confirmation.
        Assert.Null(With("klipper_path: /home/pi/printer_data/config/worse\n").KlipperPath);
        Assert.Equal("/home/pi/printer_data/config/evil", With("klipper_path: /home/pi/printer_data/config/evil\n").KlipperPath);
    }

    [Fact]
    public void A_probe_is_updated_by_no_program_beside_a_checkout_that_was_not_confirmed() => OneThread.Run(thread =>
    {
        var settings = With("klipper_path: /home/pi/printer_data/config/klipper\n");
        var printer = new ComputerAccess(new(() => throw new InvalidOperationException("no bus is needed")), thread);
        Assert.Contains("none is known", printer.Probes(settings)!.Check("beacon")!.Cause, StringComparison.Ordinal);
        ConfirmedSettings.Confirm(Data);
        Assert.Contains("/home/pi/printer_data/config/beacon_klipper/update_firmware.py",
            printer.Probes(ConfirmedSettings.Of(Data))!.Check("beacon")!.Cause, StringComparison.Ordinal);
        Assert.Null(printer.Probes(settings with { Probes = ProbePolicy.Never }));
        return Task.FromResult(true);
    });

    [Fact]
    public void The_key_of_Moonraker_goes_to_no_address_that_was_not_confirmed()
    {
        var settings = With("moonraker_url: ws://evil.example/websocket\napi_key: abc\n");
        Assert.Equal((new AgentSettings().MoonrakerUrl, null), (settings.MoonrakerUrl, settings.ApiKey));
        ConfirmedSettings.Confirm(Data);
        settings = ConfirmedSettings.Of(Data);
        Assert.Equal(("ws://evil.example/websocket", "abc"), ($"{settings.MoonrakerUrl}", settings.ApiKey));
    }

    [Fact]
    public void Nothing_sensitive_needs_no_confirmation()
    {
        Assert.Empty(With("api_key: abc\nklipper_service: klipper-1\n").Unconfirmed);
        Assert.Equal("abc", With("api_key: abc\n").ApiKey);
        File.WriteAllText(Path.Combine(_folder.FullName, "confirmed"), "not where it is looked for");
        Assert.False(Data.Confirmed.StartsWith(Path.Combine(Data.Root, "config"), StringComparison.Ordinal));
    }
}
