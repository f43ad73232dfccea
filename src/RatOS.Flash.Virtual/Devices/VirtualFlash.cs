
namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// Flash memory as silicon has it: an erase sets a whole sector to ones, programming only clears bits, both take time, and power that
/// fails in between leaves cells that read as anything. Every erase is counted.
/// </summary>
/// <remarks>
/// An operation changes the array at once and is remembered until its time is over; <see cref="CutPower"/> within that time undoes it in
/// part. The board runs one operation at a time, as the chips do.
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
    private readonly Queue<Pending> _pending = new(); // in the order they were asked for; programs queue work that begins later

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

    /// <param name="Programmed">As the units were before.</param>
    /// <param name="Unsound">As the units were before.</param>
    private sealed record Pending(
        TimeSpan Begin, TimeSpan Time, int Offset, byte[] Before, byte[] After, bool IsErase, bool[] Programmed, bool[] Unsound);

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

    /// <summary>Option bytes forbid to erase and to program it; the chip sets an error flag.</summary>
    public bool IsProtected(int sector) => _protected.Contains(sector);

    /// <inheritdoc cref="IsProtected"/>
    public void Protect(int sector) => _protected.Add(sector);

    /// <summary>Erases one sector and tells how long the chip is busy with it.</summary>
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
    /// Programs bytes at an address within the flash and tells how long it takes and whether the array now holds them.
    /// It does not where a bit would have to rise, or where ECC forbids a second write.
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
    /// Power fails now. What was in progress stays where it was: an erase leaves its sector unsound and reading as a mix of old bits and
    /// ones; programming leaves the units behind the point as they were and the one at the point unsound.
    /// </summary>
    public void CutPower(TimeSpan now)
    {
        foreach (var pending in _pending.Reverse()) // the last first: each knows what was there before it
        {
            if (now < pending.Begin + pending.Time)
                Undo(pending, now);
        }
        _pending.Clear();
    }

    /// <summary>What is over long since is forgotten: no chip has ten seconds of work before it.</summary>
    private void Remember(TimeSpan begin, TimeSpan time, int offset, byte[] before, byte[] after, bool isErase)
    {
        while (_pending.TryPeek(out var old) && old.Begin + old.Time + TimeSpan.FromSeconds(10) < begin)
            _pending.Dequeue();
        var (first, count) = Units(offset, before.Length);
        _pending.Enqueue(new Pending(
            begin, time, offset, before, after, isErase, _programmed.AsSpan(first, count).ToArray(), _unsound.AsSpan(first, count).ToArray()));
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
            _programmed.AsSpan(first, count).Fill(true);   // also what happens to read blank: nobody may rely on it
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

    /// <summary>What was left half erased or half programmed.</summary>
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
}
