using System.Text;

namespace RatOS.Flash.Fuzz;

/// <summary>Code that reads what others wrote, and what must hold for every input.</summary>
internal abstract class FuzzTarget
{
    public abstract string Name { get; }

    /// <summary>What must hold, in a sentence, beside the bounds and "no exception but the documented ones".</summary>
    public abstract string Oracle { get; }

    /// <summary>Inputs of real shape, to begin with.</summary>
    public abstract IEnumerable<byte[]> Seeds();

    /// <summary>Words of the format.</summary>
    public virtual IEnumerable<string> Tokens => [];

    /// <summary>The longest input, in bytes.</summary>
    public virtual int LongestInput => 32 * 1024;

    /// <summary>Processor time that one input may take.</summary>
    public virtual TimeSpan LongestRun => TimeSpan.FromSeconds(1);

    /// <summary>Managed memory that one input may allocate, garbage included, in bytes.</summary>
    public virtual long MostMemory => 64 << 20;

    /// <summary>Reads one input.</summary>
    /// <exception cref="OracleException">What must hold does not.</exception>
    public abstract void Run(byte[] input);

    /// <summary>Text as bytes.</summary>
    protected static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    /// <exception cref="OracleException">It does not hold.</exception>
    protected static void Hold(bool holds, string what)
    {
        if (!holds)
            throw new OracleException(what);
    }
}

/// <summary>An oracle of a target is broken.</summary>
internal sealed class OracleException(string what) : Exception(what);
