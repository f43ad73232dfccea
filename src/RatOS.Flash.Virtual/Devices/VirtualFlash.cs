
namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// Flash memory as in silicon: an erase sets a whole sector to ones, programming only clears bits, both take time, and a power failure
/// leaves undefined cells. Every erase is counted.
/// </summary>
/// <remarks>
/// An operation changes the array at once and is remembered until its time is over; <see cref="CutPower"/> within that time undoes it in
/// part. A chip runs one operation at a time.
/// </remarks>
public sealed class VirtualFlash
{
    private readonly VirtualChip _chip;
    private readonly uint? _wornAt;
    private readonly byte[] _bytes;
    private readonly bool[] _programmed;   // by program unit: written since its last erase
    private readonly bool[] _unsound;      // by program unit: half erased or half programmed
    private readonly int[] _erases;        // by sector
    private readonly uint[] _starts;       // by sector, then the end
    private readonly HashSet<int> _protected = [];
    private readonly Queue<Pending> _pending = new(); // in the order of their calls; some begin later

    /// <param name="chip">Its size, sectors and times.</param>
    /// <param name="wornAt">Address of a cell whose lowest bit stays at zero; null for good flash.</param>
    public VirtualFlash(VirtualChip chip, uint? wornAt = null)
    {
        (_chip, _wornAt) = (chip, wornAt);
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

    /// <summary>An operation that may still be under way.</summary>
    /// <param name="Begin">Its beginning.</param>
    /// <param name="Time">Its duration.</param>
    /// <param name="Offset">Of its first byte.</param>
    /// <param name="Before">The bytes before it.</param>
    /// <param name="After">The bytes to program; none for an erase.</param>
    /// <param name="IsErase">An erase.</param>
    /// <param name="Programmed">The units before it.</param>
    /// <param name="Unsound">The units before it.</param>
    private sealed record Pending(
        TimeSpan Begin, TimeSpan Time, int Offset, byte[] Before, byte[] After, bool IsErase, bool[] Programmed, bool[] Unsound);

    /// <summary>Changes with every change of the content, for caches of derived values.</summary>
    public long Version { get; private set; }

    /// <summary>Number of erases by sector.</summary>
    public IReadOnlyList<int> Erases => _erases;

    public uint Base => _chip.FlashBase;

    public uint End => _chip.FlashEnd;

    public bool Contains(uint address, int length) => address >= Base && (ulong)address + (ulong)length <= End;

    /// <summary>The bytes that a read returns now. The range must lie within the flash.</summary>
    public ReadOnlySpan<byte> Read(uint address, int length) => _bytes.AsSpan((int)(address - Base), length);

    /// <summary>No cell of the range is half erased or half programmed.</summary>
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

    /// <summary>Write protected by option bytes: an erase or a program operation fails.</summary>
    public bool IsProtected(int sector) => _protected.Contains(sector);

    /// <inheritdoc cref="IsProtected"/>
    public void Protect(int sector) => _protected.Add(sector);

    /// <summary>Erases one sector and returns how long the chip is busy with it.</summary>
    public TimeSpan Erase(int sector, TimeSpan now)
    {
        if (IsProtected(sector))
            return TimeSpan.Zero;
        var (offset, size) = ((int)(_starts[sector] - Base), SectorSize(sector));
        var time = _chip.Sectors[sector].EraseTime;
        Remember(now, time, offset, _bytes.AsSpan(offset, size).ToArray(), [], isErase: true);
        _bytes.AsSpan(offset, size).Fill(0xFF);
        var (first, count) = (offset / _chip.ProgramUnit, size / _chip.ProgramUnit);
        _programmed.AsSpan(first, count).Clear();
        _unsound.AsSpan(first, count).Clear();
        _erases[sector]++;
        Version++;
        return time;
    }

    /// <summary>
    /// Programs bytes at an address within the flash. Returns the duration, and whether the array now holds the bytes: not where a bit
    /// would have to rise, or where ECC forbids a second write.
    /// </summary>
    public (TimeSpan Time, bool Ok) Program(uint address, ReadOnlySpan<byte> data, TimeSpan now)
    {
        if (data.IsEmpty)
            return (TimeSpan.Zero, true);
        if (IsProtected(SectorAt(address)) || IsProtected(SectorAt(address + (uint)data.Length - 1)))
            return (TimeSpan.Zero, false);
        var unit = _chip.ProgramUnit;
        var offset = (int)(address - Base);
        var units = ((offset + data.Length + unit - 1) / unit) - (offset / unit);
        var time = units * _chip.ProgramTime;
        Remember(now, time, offset, _bytes.AsSpan(offset, data.Length).ToArray(), data.ToArray(), isErase: false);
        var ok = true;
        for (var at = 0; at < data.Length;)
        {
            var index = (offset + at) / unit;
            var length = Math.Min(data.Length - at, ((index + 1) * unit) - offset - at);
            var cells = _bytes.AsSpan(offset + at, length);
            var wanted = data.Slice(at, length);
            if (_programmed[index] && !_chip.ClearsFurtherBits)
            {
                ok &= cells.SequenceEqual(wanted);
            }
            else
            {
                for (var i = 0; i < length; i++)
                    cells[i] &= wanted[i];
                ok &= cells.SequenceEqual(wanted);
                _programmed[index] = true;
            }
            at += length;
        }
        if (_wornAt is { } worn && worn >= address && worn < address + (uint)data.Length)
        {
            _bytes[(int)(worn - Base)] &= 0xFE;
            ok &= (data[(int)(worn - address)] & 1) == 0;
        }
        Version++;
        return (time, ok);
    }

    /// <summary>An erase or a write is under way.</summary>
    public bool IsBusy(TimeSpan now) => _pending.Any(pending => now > pending.Begin && now < pending.Begin + pending.Time);

    /// <summary>
    /// Power fails now. An erase in progress leaves its sector undefined, a mix of old bits and ones. A program operation leaves the unit
    /// that it has reached undefined, and the units behind it as they were.
    /// </summary>
    public void CutPower(TimeSpan now)
    {
        foreach (var pending in _pending.Reverse()) // last one first: each restores the bytes before it
        {
            if (now < pending.Begin + pending.Time)
                Undo(pending, now);
        }
        _pending.Clear();
    }

    /// <summary>Adds an operation and forgets old ones: no chip has ten seconds of work queued.</summary>
    private void Remember(TimeSpan begin, TimeSpan time, int offset, byte[] before, byte[] after, bool isErase)
    {
        while (_pending.TryPeek(out var old) && old.Begin + old.Time + TimeSpan.FromSeconds(10) < begin)
            _pending.Dequeue();
        var (first, count) = Units(offset, before.Length);
        var (programmed, unsound) = (_programmed.AsSpan(first, count).ToArray(), _unsound.AsSpan(first, count).ToArray());
        _pending.Enqueue(new Pending(begin, time, offset, before, after, isErase, programmed, unsound));
    }

    private (int First, int Count) Units(int offset, int length)
    {
        var first = offset / _chip.ProgramUnit;
        return (first, ((offset + length + _chip.ProgramUnit - 1) / _chip.ProgramUnit) - first);
    }

    private void Undo(Pending pending, TimeSpan now)
    {
        Version++;
        var (first, count) = Units(pending.Offset, pending.Before.Length);
        var cells = _bytes.AsSpan(pending.Offset, pending.Before.Length);
        if (now <= pending.Begin)
        {
            pending.Before.CopyTo(cells);
            pending.Programmed.CopyTo(_programmed, first);
            pending.Unsound.CopyTo(_unsound, first);
            if (pending.IsErase)
                _erases[SectorAt(Base + (uint)pending.Offset)]--;
            return;
        }
        var noise = new Random(unchecked((int)((now.Ticks * 31) + pending.Offset)));
        if (pending.IsErase)
        {
            for (var i = 0; i < cells.Length; i++)
                cells[i] = (byte)(pending.Before[i] | noise.Next(256));
            _unsound.AsSpan(first, count).Fill(true);
            _programmed.AsSpan(first, count).Fill(true);   // also cells that happen to read blank
            return;
        }
        var reached = Math.Min((int)((now - pending.Begin) / pending.Time * count), count - 1);
        for (var i = 0; i < cells.Length; i++)
        {
            var unit = ((pending.Offset + i) / _chip.ProgramUnit) - first;
            if (unit == reached)
                cells[i] = (byte)(pending.Before[i] & (pending.After[i] | noise.Next(256)));
            else if (unit > reached)
                cells[i] = pending.Before[i];
        }
        pending.Programmed.AsSpan(reached).CopyTo(_programmed.AsSpan(first + reached));
        pending.Unsound.AsSpan(reached).CopyTo(_unsound.AsSpan(first + reached));
        (_programmed[first + reached], _unsound[first + reached]) = (true, true);
    }

    /// <summary>Ranges that are half erased or half programmed.</summary>
    internal IEnumerable<StoredRange> UnsoundRanges()
    {
        var unit = _chip.ProgramUnit;
        for (var i = 0; i < _unsound.Length; i++)
        {
            if (!_unsound[i])
                continue;
            var first = i;
            while (i < _unsound.Length && _unsound[i])
                i++;
            yield return new StoredRange(first * unit, (i - first) * unit);
        }
    }

    internal void Spoil(StoredRange range)
    {
        var unit = _chip.ProgramUnit;
        if (range.Offset >= 0 && range.Length >= 0 && (long)range.Offset + range.Length <= _bytes.Length)
            _unsound.AsSpan(range.Offset / unit, range.Length / unit).Fill(true);
    }

    /// <summary>Sets bytes without time, wear or rules: at the beginning of a scenario, or from a kept folder.</summary>
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
}
