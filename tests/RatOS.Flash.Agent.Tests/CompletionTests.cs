using RatOS.Flash.Agent.Cli;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Completion in shells: complete by the table of verbs, and right in a real bash.</summary>
public sealed class CompletionTests : IDisposable
{
    private readonly ProgramHome _home = new();

    public void Dispose() => _home.Dispose();

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    public void It_has_every_verb_and_option(string shell)
    {
        var root = CommandLine.Build();
        var script = Completion.For(root, shell);
        var commands = root.Subcommands.Concat(root.Subcommands.SelectMany(verb => verb.Subcommands)).ToList();
        Assert.All(commands, verb => Assert.Contains(verb.Name, script, StringComparison.Ordinal));
        var options = commands.SelectMany(verb => verb.Options).Concat(root.Options.Where(option => option.Recursive)).Distinct();
        Assert.All(options, option => Assert.Contains(
            shell == "fish" ? $"-l {option.Name[2..]} " : option.Name, script, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("ratos-flash fl", "flash")]
    [InlineData("ratos-flash ro", "rollback")]
    [InlineData("ratos-flash flash octopus --fo", "--force --folder")]
    [InlineData("ratos-flash flash octopus --bootloader k", "katapult")]
    [InlineData("ratos-flash --virtual rollback octopus --po", "--port")]
    [InlineData("ratos-flash firmware in", "inspect")]
    [InlineData("ratos-flash firmware inspect kl", "klipper.bin")]
    [InlineData("ratos-flash completion z", "zsh")]
    [InlineData("ratos-flash flash --firmware kl", "klipper.bin")]
    [InlineData("ratos-flash boards --data kl", "klipper.bin")]
    public async Task Bash_completes(string typed, string expected)
    {
        await File.WriteAllTextAsync(_home.PathOf("klipper.bin"), "");
        using var bash = _home.StartByShell(
            $"cd {_home.PathOf()}; . <($program completion bash); COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
            + "_ratos_flash; echo \"${COMPREPLY[*]}\"");
        Assert.Equal(expected, (await bash.StandardOutput.ReadToEndAsync()).Trim());
    }

    [Theory]
    [InlineData("zsh")]
    [InlineData("fish")]
    public async Task The_shell_can_read_it(string shell)
    {
        Assert.SkipUnless(File.Exists($"/usr/bin/{shell}"), $"{shell} is not installed");
        using var check = _home.StartByShell($"$program completion {shell} >{_home.PathOf("c")} && {shell} -n {_home.PathOf("c")}");
        Assert.Equal("", await check.StandardError.ReadToEndAsync());
        await check.WaitForExitAsync();
        Assert.Equal(0, check.ExitCode);
    }
}
