using System.Runtime.InteropServices;
using SharpFuzz.Common;

namespace RatOS.Flash.Fuzz;

/// <summary>
/// The edges between branches that an input takes: a byte for each, which counts. Counts are compared in eight classes, as afl does
/// (AFL docs/technical_details.txt, "Detecting new behaviors").
/// </summary>
internal sealed unsafe class Coverage : IDisposable
{
    private const int Size = 1 << 16;   // what SharpFuzz numbers edges with

    private readonly byte* _counts = (byte*)NativeMemory.AllocZeroed(Size);
    private readonly byte[] _seen = new byte[Size];

    public Coverage() => Trace.SharedMem = _counts;

    /// <summary>Edges that any input took.</summary>
    public int Edges { get; private set; }

    /// <summary>Before an input.</summary>
    public void Begin()
    {
        new Span<byte>(_counts, Size).Clear();
        Trace.PrevLocation = 0;
    }

    /// <summary>After an input.</summary>
    /// <returns>It took an edge that no input before it took, or one more often than any.</returns>
    public bool End()
    {
        var isNew = false;
        Visit((at, kind) =>
        {
            if ((_seen[at] & kind) != 0)
                return;
            if (_seen[at] == 0)
                Edges++;
            _seen[at] |= kind;
            isNew = true;
        });
        return isNew;
    }

    /// <summary>The edges of the input that ran last, with their classes.</summary>
    public HashSet<int> Taken()
    {
        var taken = new HashSet<int>();
        Visit((at, kind) => taken.Add((at << 8) | kind));
        return taken;
    }

    private void Visit(Action<int, byte> visit)
    {
        var words = new ReadOnlySpan<ulong>(_counts, Size / sizeof(ulong));
        for (var word = 0; word < words.Length; word++)
        {
            if (words[word] == 0)
                continue;
            for (var at = word * sizeof(ulong); at < (word + 1) * sizeof(ulong); at++)
            {
                if (_counts[at] != 0)
                    visit(at, ClassOf(_counts[at]));
            }
        }
    }

    private static byte ClassOf(byte count) => count switch
    {
        <= 3 => (byte)(1 << (count - 1)),
        <= 7 => 8,
        <= 15 => 16,
        <= 31 => 32,
        <= 127 => 64,
        _ => 128,
    };

    public void Dispose()
    {
        // Other threads may still count.
        Trace.SharedMem = (byte*)NativeMemory.AllocZeroed(Size);
        NativeMemory.Free(_counts);
    }
}
