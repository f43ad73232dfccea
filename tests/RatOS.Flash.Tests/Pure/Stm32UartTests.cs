using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The engine's side of AN3155 against the virtual ROM: odd ROMs, and lines that damage every tenth frame.</summary>
public sealed class Stm32UartTests
{
    private const uint Start = 0x0800_8000;

    private static readonly Mcu F446 = Mcu.Find("stm32f446xx")!;

    private static readonly Func<int, ValueTask> NoProgress = static _ => ValueTask.CompletedTask;

    /// <summary>A line to the ROM of a chip, and that ROM.</summary>
    private static (ProgramLine Line, Func<RomUart> Rom) LineTo(VirtualFlash flash, VirtualChip chip, RomBehaviour? behaviour = null,
        TimeSpan? saysBusyEach = null, int seed = 0)
    {
        RomUart? rom = null;
        var line = new ProgramLine((send, reset) => rom = new RomUart(flash, chip, behaviour ?? new(), new RomRecord(), static _ => { })
        {
            Reset = reset,
            Send = (bytes, delay) =>
            {
                for (var at = saysBusyEach; at < delay; at += saysBusyEach)
                    send(new byte[] { 0x76 }, at.Value);
                send(bytes, delay);
            },
        }, seed: seed, uart: true);
        return (line, () => rom!);
    }

    private static async Task WriteAllAsync(Bootloader rom, byte[] image, uint start)
    {
        var layout = FlashLayout.Create(image, start, rom.Memory, rom.BlockSize);
        foreach (var sector in layout.Sectors)
            await rom.EraseAsync(sector);
        foreach (var run in layout.Runs)
            await rom.WriteAsync(run.Address, run.Data, NoProgress);
        await rom.FinishAsync();
    }

    private static byte[] Noise(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    [Fact]
    public async Task It_writes_and_reads_back_with_the_commands_that_AN3155_has_for_it()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Preset(flash.Base, Noise(0x1_0000));
        var boot = flash.Read(flash.Base, 0x8000).ToArray();
        var (line, virtualRom) = LineTo(flash, VirtualChip.F446);
        await using var rom = await Stm32Uart.OpenAsync(line, "octopus", F446, Start, line.Time);
        Assert.Equal(("STM32 ROM UART 3.1", 256, Start), (rom.Name, rom.BlockSize, rom.Memory.Sectors[0].Address));
        rom.CheckChip("octopus", F446, Start);
        var image = Noise(1000);
        await WriteAllAsync(rom, image, Start);
        var found = new byte[image.Length];
        await rom.ReadAsync(Start, found, NoProgress);
        Assert.Equal(image, found);
        Assert.Equal(image, flash.Read(Start, image.Length));
        Assert.Equal(boot, flash.Read(flash.Base, boot.Length));
        Assert.Equal(1, flash.Erases.Sum());
        Assert.Empty(virtualRom().Record.Illegal);
        Assert.DoesNotContain(line.Written, frame => frame is [0x63 or 0x73 or 0x82 or 0x92, _]);
    }

    [Fact]
    public async Task Nothing_outside_the_application_can_be_asked_for()
    {
        var (line, _) = LineTo(new VirtualFlash(VirtualChip.F446), VirtualChip.F446);
        await using var rom = await Stm32Uart.OpenAsync(line, "octopus", F446, Start, line.Time);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => rom.EraseAsync(new Sector(0x0800_4000, 0x4000)));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => rom.EraseAsync(new Sector(Start, 0x8000)));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => rom.WriteAsync(Start - 4, new byte[4], NoProgress));
        Assert.DoesNotContain(line.Written, frame => frame[0] is 0x44 or 0x31);
    }

    /// <summary>
    /// Klipper gives the F103 of 64 KiB and that of 512 KiB one name; with the wrong page size page 4 would be the bootloader.
    /// </summary>
    [Theory]
    [InlineData(0x410, 1024, 8)]
    [InlineData(0x414, 2048, 4)]
    public async Task An_old_ROM_gets_page_numbers_of_one_byte_and_pages_of_its_own_size(int id, int size, int firstPage)
    {
        var chip = VirtualChip.F072 with
        {
            Sectors = [.. Enumerable.Repeat(new VirtualSector(size, TimeSpan.FromMilliseconds(20)), 128)],
            Rom = VirtualChip.F072.Rom! with { UartId = (ushort)id, UartVersion = 0x22 },
        };
        var flash = new VirtualFlash(chip);
        var (line, virtualRom) = LineTo(flash, chip);
        var mcu = Mcu.Find("stm32f103xe")!;
        await using var rom = await Stm32Uart.OpenAsync(line, "skr-mini", mcu, 0x0800_2000, line.Time);
        rom.CheckChip("skr-mini", mcu, 0x0800_2000);
        await WriteAllAsync(rom, Noise(3000), 0x0800_2000);
        Assert.Equal(Enumerable.Range(firstPage, (3000 + size - 1) / size), Enumerable.Range(0, 128).Where(page => flash.Erases[page] > 0));
        Assert.Empty(virtualRom().Record.Illegal);
    }

    [Theory]
    [InlineData(0x55)]
    [InlineData(0x79)]
    [InlineData(0x1F)]
    public async Task A_line_on_which_something_else_never_stops_talking_is_given_up(byte word)
    {
        var line = new ChatteringLine(word);
        var fault = await Assert.ThrowsAsync<FlashException>(() => Stm32Uart.OpenAsync(line, "octopus", F446, Start, line.Time));
        Assert.StartsWith("uart-rom-", fault.Code, StringComparison.Ordinal);
        Assert.InRange(line.Time.GetElapsedTime(0), TimeSpan.Zero, TimeSpan.FromMinutes(2));
        Assert.False(await Stm32Uart.AnswersAsync(line, line.Time));
        Assert.DoesNotContain(line.Written, frame => frame is [0x31 or 0x43 or 0x44 or 0x21, _]);
    }

    /// <summary>One byte each millisecond, whatever it is asked.</summary>
    private sealed class ChatteringLine(byte word) : Hardware.ByteLine
    {
        private readonly VirtualTime _time = new();

        public TimeProvider Time => _time;

        public List<byte[]> Written { get; } = [];

        public override Hardware.Device Device { get; } = new() { Port = "ttyAMA0", Number = 1 };

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> frame)
        {
            Written.Add(frame.ToArray());
            return ValueTask.CompletedTask;
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
        {
            _time.Run(async () =>
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1), _time);
                return true;
            });
            buffer.Span[0] = word;
            return ValueTask.FromResult(1);
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Another_chip_is_detected_by_its_id()
    {
        var (line, _) = LineTo(new VirtualFlash(VirtualChip.F407), VirtualChip.F407);
        await using var rom = await Stm32Uart.OpenAsync(line, "octopus", F446, Start, line.Time);
        var fault = Assert.Throws<FlashException>(() => rom.CheckChip("octopus", F446, Start));
        Assert.Equal("wrong-mcu", fault.Code);
        Assert.Contains("413", fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_protection_is_reported_before_anything_is_touched()
    {
        var (line, _) = LineTo(new VirtualFlash(VirtualChip.F446), VirtualChip.F446, new RomBehaviour { IsReadProtected = true });
        var fault = await Assert.ThrowsAsync<FlashException>(() => Stm32Uart.OpenAsync(line, "octopus", F446, Start, line.Time));
        Assert.Equal("read-protected", fault.Code);
    }

    /// <summary>
    /// Longer than any erase is not waited for; a ROM that says that it is busy is believed for as long as a whole chip may take.
    /// </summary>
    [Theory]
    [InlineData(25, null, "uart-rom-silent")]
    [InlineData(25, 3.0, null)]
    [InlineData(90, 3.0, "uart-rom-silent")]
    public async Task A_ROM_that_says_busy_is_waited_for(int eraseTime, double? saysBusyEach, string? code)
    {
        var chip = VirtualChip.F446
            with
        { Sectors = [.. VirtualChip.F446.Sectors.Select(sector => sector with { EraseTime = TimeSpan.FromSeconds(eraseTime) })] };
        var (line, _) = LineTo(new VirtualFlash(chip), chip, saysBusyEach: saysBusyEach is { } each ? TimeSpan.FromSeconds(each) : null);
        await using var rom = await Stm32Uart.OpenAsync(line, "octopus", F446, Start, line.Time);
        var fault = await Record.ExceptionAsync(() => rom.EraseAsync(rom.Memory.Sectors[0]));
        Assert.Equal(code, (fault as FlashException)?.Code);
    }

    [Fact]
    public async Task A_write_whose_answer_was_lost_is_looked_at_before_it_is_repeated()
    {
        // A G0 takes no second write without an erase.
        var flash = new VirtualFlash(VirtualChip.G0B1);
        var writes = 0;
        RomUart? virtualRom = null;
        var line = new ProgramLine((send, reset) =>
            virtualRom = new RomUart(flash, VirtualChip.G0B1, new(), new RomRecord(), static _ => { })
            {
                Reset = reset,
                Send = (bytes, delay) =>
                {
                    if (delay > TimeSpan.Zero && ++writes == 1)
                        return;   // the acknowledgement of the first block
                    send(bytes, delay);
                },
            }, uart: true);
        await using var rom = await Stm32Uart.OpenAsync(line, "manta", Mcu.Find("stm32g0b1xx")!, 0x0800_2000, line.Time);
        var image = Noise(512);
        await rom.WriteAsync(0x0800_2000, image, NoProgress);
        Assert.Equal(image, flash.Read(0x0800_2000, 512));
        Assert.Equal(2, line.Written.Count(frame => frame.Length == 258));
        Assert.Empty(virtualRom!.Record.Illegal);
    }

    /// <summary>
    /// Bytes lost, flipped or made up in both directions: it is written right, or it is told, and what is below is never touched. A byte
    /// that is lost or made up has the right sum one time in 256; the comparison with the image finds that.
    /// </summary>
    [Fact]
    public async Task A_bad_line_costs_time_and_never_the_bootloader()
    {
        var written = 0;
        for (var seed = 0; seed < 300; seed++)
        {
            var flash = new VirtualFlash(VirtualChip.F446);
            flash.Preset(flash.Base, Noise(0x1_0000));
            var boot = flash.Read(flash.Base, 0x8000).ToArray();
            var (line, virtualRom) = LineTo(flash, VirtualChip.F446, seed: seed);
            var image = Noise(4000 + (seed * 4));
            try
            {
                await using var rom = await Stm32Uart.OpenAsync(line, "octopus", F446, Start, line.Time);
                line.Damage = 0.02;
                await WriteAllAsync(rom, image, Start);
                written += flash.Read(Start, image.Length).SequenceEqual(image) ? 1 : 0;
            }
            catch (FlashException fault)
            {
                Assert.Contains(fault.Code, new[] { "uart-rom-silent", "uart-rom-refused" });
            }
            Assert.Equal(boot, flash.Read(flash.Base, boot.Length));
            Assert.False(virtualRom().Record.WasMassErased);
            Assert.True(line.Now < TimeSpan.FromMinutes(5), $"seed {seed} took {line.Now}");
        }
        Assert.InRange(written, 270, 300);
    }
}
