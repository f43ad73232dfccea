using System.Reflection;

namespace RatOS.Flash.Agent.Contract;

/// <summary>The product's own address and version.</summary>
internal static class Product
{
    public const string Url = "https://github.com/Rat-OS/RatOS.Flash";

    public static string Version { get; } =
        typeof(Product).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";
}
