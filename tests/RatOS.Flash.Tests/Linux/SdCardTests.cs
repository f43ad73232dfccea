using RatOS.Flash.Core;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Tests.Linux;

/// <summary>
/// Which of a computer's disks is the card that a person means: in a folder that stands for the computer, with what the kernel says of its
/// disks and mounts.
/// </summary>
public sealed class SdCardTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("rf-card-").FullName;
    private readonly List<string> _mounts = ["22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw"];

    public SdCardTests()
    {
        // A Raspberry Pi lives from its card: FAT as well, in a slot as well.
        Disk("mmcblk0", "platform/soc/mmc0", type: "SD");
        Mount("mmcblk0", 1, "/boot/firmware", "vfat");
        Mount("mmcblk0", 2, "/", "ext4");
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static readonly byte[] Firmware = [.. Enumerable.Range(0, 43_000).Select(i => (byte)(i * 7))];

    private string? Put(string path = "firmware.bin", bool holds = true)
    {
        Directory.CreateDirectory(_root + "/proc/self");
        File.WriteAllLines(_root + "/proc/self/mountinfo", _mounts);
        return new SdCards(_root).Put(path, Firmware, back => holds && back.Span.SequenceEqual(Firmware));
    }

    private FlashException Refused()
    {
        var refused = Assert.Throws<FlashException>(() => Put());
        Assert.Equal("sd-card-unusable", refused.Code);
        Assert.Empty(Directory.EnumerateFiles(_root, "firmware.bin*", SearchOption.AllDirectories));
        return refused;
    }

    private void Disk(string name, string bus, string? type = null, bool isRemovable = false, long sectors = 15_523_840)
    {
        var folder = $"{_root}/sys/devices/{bus}/block/{name}";
        Directory.CreateDirectory(folder + "/device");
        File.WriteAllText(folder + "/removable", isRemovable ? "1\n" : "0\n");
        File.WriteAllText(folder + "/size", $"{sectors}\n");
        if (type is not null)
            File.WriteAllText(folder + "/device/type", type + "\n");
        Directory.CreateDirectory(_root + "/sys/block");
        Directory.CreateSymbolicLink($"{_root}/sys/block/{name}", folder);
    }

    private string Partition(string disk, int number)
    {
        var name = char.IsAsciiDigit(disk[^1]) ? $"{disk}p{number}" : $"{disk}{number}";
        var folder = $"{Directory.ResolveLinkTarget($"{_root}/sys/block/{disk}", true)!.FullName}/{name}";
        Directory.CreateDirectory(folder);
        File.WriteAllText(folder + "/partition", $"{number}\n");
        Directory.CreateDirectory(_root + "/sys/dev/block");
        var device = $"8:{Directory.GetFileSystemEntries(_root + "/sys/dev/block").Length}";
        Directory.CreateSymbolicLink($"{_root}/sys/dev/block/{device}", folder);
        return device;
    }

    private void Mount(string disk, int partition, string at, string fileSystem)
    {
        var device = Partition(disk, partition);
        Directory.CreateDirectory(_root + at);
        _mounts.Add(
            $"{_mounts.Count + 22} 1 {device} / {at.Replace(" ", "\\040", StringComparison.Ordinal)} rw,relatime shared:{_mounts.Count} - "
            + $"{fileSystem} /dev/{disk}{partition} rw");
    }

    private void Reader(string disk = "sda", string at = "/media/pi/CARD", string fileSystem = "vfat")
    {
        Disk(disk, $"pci0/usb1/1-1/{disk}", isRemovable: true);
        Mount(disk, 1, at, fileSystem);
    }

    [Theory]
    [InlineData("/media/pi/CARD")]
    [InlineData("/mnt")]
    [InlineData("/run/media/pi/MY CARD")]
    public void A_card_in_a_reader_is_written_and_read_back(string at)
    {
        Reader(at: at);
        Assert.Equal(at, Put());
        Assert.Equal(Firmware, File.ReadAllBytes($"{_root}{at}/firmware.bin"));
        Assert.Single(Directory.EnumerateFiles(_root + at));
    }

    [Fact]
    public void A_file_of_that_name_is_written_over()
    {
        Reader();
        File.WriteAllText(_root + "/media/pi/CARD/firmware.bin", "old");
        Put();
        Assert.Equal(Firmware, File.ReadAllBytes(_root + "/media/pi/CARD/firmware.bin"));
    }

    [Fact]
    public void A_folder_that_the_bootloader_wants_is_made()
    {
        Reader();
        Put("STM32F4_UPDATE/k1a2b3c4.bin");
        Put("STM32F4_UPDATE/k1a2b3c5.bin");
        Assert.Equal(Firmware, File.ReadAllBytes(_root + "/media/pi/CARD/STM32F4_UPDATE/k1a2b3c4.bin"));
        Assert.Equal(2, Directory.EnumerateFiles(_root + "/media/pi/CARD/STM32F4_UPDATE").Count());
    }

    [Fact]
    public void A_file_whose_read_back_is_not_the_firmware_never_gets_its_name()
    {
        Reader();
        File.WriteAllText(_root + "/media/pi/CARD/firmware.bin", "old");
        var refused = Assert.Throws<FlashException>(() => Put(holds: false));
        Assert.Equal("sd-card-unusable", refused.Code);
        Assert.Contains("what was read back is not the firmware", refused.Cause, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(Assert.Single(Directory.EnumerateFiles(_root + "/media/pi/CARD"))));
    }

    [Fact]
    public void A_second_card_in_a_slot_is_one_too()
    {
        Disk("mmcblk1", "platform/soc/mmc1", type: "SD");
        Mount("mmcblk1", 1, "/media/card", "vfat");
        Assert.Equal("/media/card", Put());
    }

    [Fact]
    public void One_that_is_listed_twice_as_behind_the_walls_of_a_service_is_one()
    {
        Reader();
        _mounts.Add(_mounts[^1].Replace(" /media/pi", " /media", StringComparison.Ordinal));
        Assert.Contains("there are several (/media/pi/CARD, /media/CARD)", Assert.Throws<FlashException>(() => Put()).Cause,
            StringComparison.Ordinal);
        _mounts[^1] = _mounts[^2];
        Assert.Equal("/media/pi/CARD", Put());
    }

    [Fact]
    public void A_disk_of_the_system_is_never_a_card()
    {
        // Even a partition that is mounted among the cards.
        Mount("mmcblk0", 3, "/media/pi/bootfs", "vfat");
        Assert.Null(Put());
        Assert.Empty(Directory.EnumerateFiles(_root, "firmware.bin*", SearchOption.AllDirectories));
    }

    [Fact]
    public void A_stick_that_is_mounted_for_another_purpose_is_not_a_card()
    {
        Disk("sda", "pci0/usb1/1-1/sda", isRemovable: true);
        Mount("sda", 1, "/home/pi/printer_data/gcodes/usb", "vfat");
        Mount("sda", 2, "/media/pi/second", "vfat");
        Assert.Null(Put());
    }

    [Fact]
    public void A_disk_that_is_not_removable_is_not_a_card()
    {
        Disk("sda", "pci0/ata1/sda");
        Mount("sda", 1, "/mnt/windows", "vfat");
        Disk("mmcblk2", "platform/soc/mmc2", type: "MMC");
        Mount("mmcblk2", 1, "/mnt/emmc", "vfat");
        Assert.Null(Put());
    }

    [Fact]
    public void With_two_cards_none_is_guessed()
    {
        Reader();
        Reader("sdb", "/media/pi/OTHER");
        Assert.Contains("/media/pi/CARD, /media/pi/OTHER", Refused().Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_card_that_no_bootloader_can_read_is_named()
    {
        Reader(fileSystem: "exfat");
        Assert.Contains("exfat", Refused().Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void One_that_is_not_mounted_is_named_with_the_command()
    {
        Disk("sda", "pci0/usb1/1-1/sda", isRemovable: true);
        Partition("sda", 1);
        Disk("sr0", "pci0/ata2/sr0", isRemovable: true);
        Assert.Contains("udisksctl mount -b /dev/sda1", Refused().Remedy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_reader_is_no_card()
    {
        Disk("sda", "pci0/usb1/1-1/sda", isRemovable: true, sectors: 0);
        Assert.Null(Put());
    }

    [Fact]
    public void An_admin_file_would_have_it_written_again_and_again()
    {
        Reader();
        File.WriteAllText(_root + "/media/pi/CARD/admin.txt", "");
        Assert.Contains("admin.txt", Refused().Remedy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_card_that_cannot_be_written_leaves_nothing_and_says_so()
    {
        Reader();
        // In the way of the file stands a folder: as root too.
        Directory.CreateDirectory(_root + "/media/pi/CARD/firmware.bin/x");
        var refused = Assert.Throws<FlashException>(() => Put());
        Assert.Equal("sd-card-unusable", refused.Code);
        Assert.Empty(Directory.EnumerateFiles(_root + "/media/pi/CARD", "*~"));
    }

    [Fact]
    public void A_card_that_is_removed_during_the_check_is_reported()
    {
        Reader();
        // A folder's links that lead to each other: no two looks at it see the same.
        File.Delete(_root + "/sys/block/sda");
        Directory.CreateSymbolicLink(_root + "/sys/block/sda", _root + "/sys/block/sda");
        Refused();
    }

    [Fact]
    public void Lines_that_are_no_mounts_are_passed_over()
    {
        _mounts.AddRange(["", "a b", "1 2 3:4 / /media/x rw", "30 1 8:99 / /media/gone\\0 rw - vfat /dev/sdz1 rw"]);
        Assert.Null(Put());
    }
}
