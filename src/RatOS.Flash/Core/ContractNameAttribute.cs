using System.Diagnostics.CodeAnalysis;
using System.Reflection;

namespace RatOS.Flash.Core;

/// <summary>
/// The name of an enum's value for other programs: in JSON, in files and on the command line. It stays when the member is renamed;
/// <c>docs/contract.json</c> lists all of them.
/// </summary>
[AttributeUsage(AttributeTargets.Field)]
public sealed class ContractNameAttribute(string name) : Attribute
{
    public string Name { get; } = name;

    /// <summary>A value's name: <c>in-bootloader-without-firmware</c>.</summary>
    public static string Of<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] T>(T value)
        where T : struct, Enum => Table<T>.Names[value];

    /// <summary>The value of a name, whatever the case; null for a name that there is not, such as one of a later version.</summary>
    public static T? Find<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] T>(string name)
        where T : struct, Enum
    {
        foreach (var (value, known) in Table<T>.Names)
        {
            if (string.Equals(known, name, StringComparison.OrdinalIgnoreCase))
                return value;
        }
        return null;
    }

    private static class Table<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] T>
        where T : struct, Enum
    {
        public static readonly Dictionary<T, string> Names = typeof(T).GetFields(BindingFlags.Public | BindingFlags.Static)
            .ToDictionary(field => Enum.Parse<T>(field.Name), field => field.GetCustomAttribute<ContractNameAttribute>()!.Name);
    }
}
