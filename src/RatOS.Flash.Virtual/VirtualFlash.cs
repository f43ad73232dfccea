namespace RatOS.Flash.Virtual;

/// <summary>
/// Flash memory as silicon has it: an erase sets a whole sector to ones, programming only clears bits, both take time, and power that fails in
/// between leaves cells that read as anything. Every erase is counted.
/// </summary>
/// <remarks>
/// An operation changes the array at once and is remembered until its time is over; <see cref="CutPower"/> within that time undoes it in part, and
/// entirely what was to begin later: a program that works ahead of its time (erase, then write) stands where the power found it.
/// </remarks>
public sealed class VirtualFlash
{
    private readonly VirtualChip _chip;
    private readonly byte[] _bytes;
    private readonly bool[] _programmed;   // by program unit: written since its last erase
    private readonly bool[] _unsound;      // by program unit: half erased or half programmed
    private readonly int[] _erases;        // by sector
    private readonly uint[] _starts;       // by sector, then the end
    private readonly Queue<Pending> _pending = new();
    private readonly HashSet<int> _protected = [];
    private readonly List<WornCell> _worn = [];
    private readonly Func<TimeSpan>? _clock;

    /// <param name="clock">Lets it forget operations that are over; without one it remembers the last few.</param>
    public VirtualFlash(VirtualChip chip, Func<TimeSpan>? clock = null)
    {
        _chip = chip;
        _clock = clock;
        _bytes = new byte[chip.FlashSize];
        _bytes.AsSpan().Fill(0xFF);
        _programmed = new bool[chip.FlashSize / chip.ProgramUnit];
        _unsound = new bool[_programmed.Length];
        _erases = new int[chip.Sectors.Length];
        _starts = new uint[chip.Sectors.Length + 1];
        _starts[0] = chip.FlashBase;
        for (var i = 0; i < chip.Sectors.Length; i++)
            _starts[i + 1] = _starts[i] + (uint)chip.Sectors[i].Size;
    }

    private sealed record Pending(TimeSpan Begin, TimeSpan Time, int Offset, byte[] Before, byte[] After, bool IsErase, Cells State)
    {
        public TimeSpan End => Begin + Time;
    }

    /// <summary>Which units of a range were programmed and which unsound.</summary>
    private sealed record Cells(bool[] Programmed, bool[] Unsound);

    /// <summary>Counts every change, so that what was derived from the content can be kept until then.</summary>
    public long Version { get; private set; }

    /// <summary>Erases done, one number a sector.</summary>
    public IReadOnlyList<int> Erases => _erases;

    public uint Base => _chip.FlashBase;

    public uint End => _chip.FlashEnd;

    public bool Contains(uint address, int length) => address >= Base && (ulong)address + (ulong)length <= End;

    /// <summary>What a read returns now. Both ends must lie within the flash.</summary>
    public ReadOnlySpan<byte> Read(uint address, int length) => _bytes.AsSpan((int)(address - Base), length);

    /// <summary>No cell of the range was left half erased or half programmed.</summary>
    public bool IsSound(uint address, int length)
    {
        var unit = _chip.ProgramUnit;
        var first = (int)(address - Base) / unit;
        var last = ((int)(address - Base) + length + unit - 1) / unit;
        return !_unsound.AsSpan(first, last - first).Contains(true);
    }

    /// <summary>Index of the sector that holds an address within the flash.</summary>
    public int SectorAt(uint address)
    {
        var index = Array.BinarySearch(_starts, address);
        return index >= 0 ? Math.Min(index, _erases.Length - 1) : ~index - 1;
    }

    public uint SectorStart(int sector) => _starts[sector];

    public int SectorSize(int sector) => _chip.Sectors[sector].Size;

    /// <summary>Write protection by option bytes (WRP): neither erased nor programmed, and the chip sets an error flag.</summary>
    public bool IsProtected(int sector) => _protected.Contains(sector);

    /// <inheritdoc cref="IsProtected"/>
    public void Protect(int sector) => _protected.Add(sector);

    /// <summary>A cell gives out: from the next erase or programming on its bit reads as it is stuck.</summary>
    public void Wear(WornCell cell)
    {
        if (Contains(cell.Address, 1))
            _worn.Add(cell);
    }

    /// <summary>Erases one sector and tells how long the chip is busy with it.</summary>
    public TimeSpan Erase(int sector, TimeSpan now)
    {
        if (IsProtected(sector))
            return TimeSpan.Zero;
        var (offset, size) = ((int)(_starts[sector] - Base), SectorSize(sector));
        var time = _chip.Sectors[sector].EraseTime;
        Remember(new Pending(now, time, offset, _bytes.AsSpan(offset, size).ToArray(), [], IsErase: true, Save(offset, size)));
        _bytes.AsSpan(offset, size).Fill(0xFF);
        var (first, count) = Units(offset, size);
        _programmed.AsSpan(first, count).Clear();
        _unsound.AsSpan(first, count).Clear();
        ShowWear(offset, size);
        _erases[sector]++;
        Version++;
        return time;
    }

    /// <summary>
    /// Programs bytes at an address within the flash and tells how long it takes and whether the array now holds them.
    /// It does not where a bit would have to rise, where ECC forbids a second write, in a protected sector and in a worn cell.
    /// </summary>
    public (TimeSpan Time, bool Ok) Program(uint address, ReadOnlySpan<byte> data, TimeSpan now)
    {
        if (data.IsEmpty)
            return (TimeSpan.Zero, true);
        if (IsProtected(SectorAt(address)) || IsProtected(SectorAt(address + (uint)data.Length - 1)))
            return (TimeSpan.Zero, false);
        var unit = _chip.ProgramUnit;
        var offset = (int)(address - Base);
        var (first, count) = Units(offset, data.Length);
        var time = count * _chip.ProgramTime;
        Remember(new Pending(
            now, time, offset, _bytes.AsSpan(offset, data.Length).ToArray(), data.ToArray(), IsErase: false, Save(offset, data.Length)));
        for (var at = 0; at < data.Length;)
        {
            var index = (offset + at) / unit;
            var length = Math.Min(data.Length - at, ((index + 1) * unit) - offset - at);
            if (!_programmed[index] || _chip.ClearsFurtherBits)
            {
                for (var i = at; i < at + length; i++)
                    _bytes[offset + i] &= data[i];
                _programmed[index] = true;
            }
            at += length;
        }
        ShowWear(offset, data.Length);
        Version++;
        return (time, _bytes.AsSpan(offset, data.Length).SequenceEqual(data));
    }

    /// <summary>
    /// Power fails now. What was in progress stays where it was: an erase leaves its sector unsound and reading as a mix of old bits and ones;
    /// programming leaves the units behind the point as they were and the one at the point unsound. What had not begun did not happen.
    /// </summary>
    public void CutPower(TimeSpan now)
    {
        var undone = _pending.Where(pending => pending.End > now).Reverse().ToList();
        _pending.Clear();
        foreach (var pending in undone)
            Undo(pending, now);
    }

    private void Undo(Pending pending, TimeSpan now)
    {
        var cells = _bytes.AsSpan(pending.Offset, pending.Before.Length);
        var (first, count) = Units(pending.Offset, cells.Length);
        var after = pending.IsErase ? new Cells(new bool[count], new bool[count]) : Save(pending.Offset, cells.Length);
        pending.State.Programmed.CopyTo(_programmed, first);
        pending.State.Unsound.CopyTo(_unsound, first);
        Version++;
        if (now <= pending.Begin)
        {
            pending.Before.CopyTo(cells);
            if (pending.IsErase)
                _erases[SectorAt(Base + (uint)pending.Offset)]--;
            return;
        }
        var noise = new Random((int)(uint)((pending.Offset * 31L) + now.Ticks));
        if (pending.IsErase)
        {
            for (var i = 0; i < cells.Length; i++)
                cells[i] = (byte)(pending.Before[i] | noise.Next(256));
            _unsound.AsSpan(first, count).Fill(true);
            _programmed.AsSpan(first, count).Fill(true); // nobody may rely on a unit that reads blank
            return;
        }
        var reached = Math.Min((int)((now - pending.Begin) / pending.Time * count), count - 1);
        after.Programmed.AsSpan(0, reached).CopyTo(_programmed.AsSpan(first));
        for (var i = 0; i < cells.Length; i++)
        {
            var index = ((pending.Offset + i) / _chip.ProgramUnit) - first;
            if (index == reached)
                cells[i] = (byte)(pending.Before[i] & (pending.After[i] | noise.Next(256)));
            else if (index > reached)
                cells[i] = pending.Before[i];
        }
        (_programmed[first + reached], _unsound[first + reached]) = (true, true);
    }

    private void Remember(Pending pending)
    {
        var past = _clock?.Invoke() ?? TimeSpan.MinValue;
        while (_pending.TryPeek(out var oldest) && (oldest.End <= past || (_clock is null && _pending.Count >= 8)))
            _pending.Dequeue();
        _pending.Enqueue(pending);
    }

    private (int First, int Count) Units(int offset, int length)
    {
        var first = offset / _chip.ProgramUnit;
        return (first, ((offset + length + _chip.ProgramUnit - 1) / _chip.ProgramUnit) - first);
    }

    private Cells Save(int offset, int length)
    {
        var (first, count) = Units(offset, length);
        return new Cells(_programmed.AsSpan(first, count).ToArray(), _unsound.AsSpan(first, count).ToArray());
    }

    private void ShowWear(int offset, int length)
    {
        foreach (var cell in _worn)
        {
            var at = (int)(cell.Address - Base);
            if (at >= offset && at < offset + length)
                _bytes[at] = cell.StuckAtOne ? (byte)(_bytes[at] | (1 << cell.Bit)) : (byte)(_bytes[at] & ~(1 << cell.Bit));
        }
    }

    /// <summary>Puts bytes there without time, wear or rules: how the printer's story begins, or what a folder kept.</summary>
    public void Preset(uint address, ReadOnlySpan<byte> data)
    {
        var offset = (int)(address - Base);
        data.CopyTo(_bytes.AsSpan(offset));
        var unit = _chip.ProgramUnit;
        var (first, last) = (offset / unit, (offset + data.Length + unit - 1) / unit);
        _unsound.AsSpan(first, last - first).Clear();
        for (var i = first; i < last; i++)
            _programmed[i] = _bytes.AsSpan(i * unit, unit).ContainsAnyExcept((byte)0xFF);
        _pending.Clear();
        Version++;
    }

    /// <summary>The state of the cells that their bytes do not show, for a folder: two bits a unit, programmed and unsound.</summary>
    internal byte[] SaveCells()
    {
        var packed = new byte[(_programmed.Length + 3) / 4];
        for (var i = 0; i < _programmed.Length; i++)
            packed[i / 4] |= (byte)(((_programmed[i] ? 1 : 0) | (_unsound[i] ? 2 : 0)) << (i % 4 * 2));
        return packed;
    }

    /// <summary>Puts back what <see cref="SaveCells"/> gave, after <see cref="Preset"/>. False when it is not of this flash.</summary>
    internal bool RestoreCells(ReadOnlySpan<byte> packed)
    {
        if (packed.Length != (_programmed.Length + 3) / 4)
            return false;
        for (var i = 0; i < _programmed.Length; i++)
        {
            var bits = packed[i / 4] >> (i % 4 * 2);
            (_programmed[i], _unsound[i]) = ((bits & 1) != 0, (bits & 2) != 0);
        }
        Version++;
        return true;
    }
}

/// <summary>One bit of flash that no longer changes.</summary>
public readonly record struct WornCell(uint Address, int Bit, bool StuckAtOne);
