using System.Collections.Concurrent;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.UsbIp;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace RatOS.Flash.Agent.Cli;

/// <summary>For a person at a terminal: colours, and bars that move while the board works.</summary>
internal sealed class LiveOutput : Output
{
    private readonly ConcurrentDictionary<int, Step> _steps = new();
    private readonly Dictionary<string, ProgressTask> _tasks = [];
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ProgressContext? _progress;
    private Thread? _renderer;
    private bool _oneBoard;

    public override bool IsLive => true;

    public override bool HasPerson => !Console.IsInputRedirected;

    public override void Plan(PlanView plan, string printer)
    {
        AnsiConsole.MarkupLine($"[bold]RatOS.Flash[/] {Product.Version.EscapeMarkup()}, {printer.EscapeMarkup()}");
        AnsiConsole.WriteLine();
        foreach (var line in plan.Boards.SelectMany(PlanText.Of).Concat(plan.Findings.Select(PlanText.Of)))
            Write(line.Text, line.Tone);
        AnsiConsole.WriteLine();
    }

    public override void Boards(IReadOnlyList<JsonBoard> rows, string printer)
    {
        AnsiConsole.MarkupLine($"{printer}{(rows.FirstOrDefault(row => row.Host is not null) is { } any ? $"; Klipper is {any.Host}" : "")}".EscapeMarkup());
        var table = new Table().Border(TableBorder.Rounded).AddColumns("Board", "Kind", "Chip", "Port", "State", "Runs", "Flash");
        foreach (var row in rows)
        {
            var style = row.Board is null ? Color.Grey : row.State == "not connected" ? Color.Yellow : Color.Default;
            table.AddRow(new[] { row.Board, row.Description, row.Mcu, row.Port, row.State, row.Running, BoardText.Need(row) }
                .Select(cell => (IRenderable)new Spectre.Console.Text(cell ?? "", new Style(style))));
        }
        AnsiConsole.Write(table);
        foreach (var (text, tone) in rows.SelectMany(BoardText.Of))
            Write(text, tone);
    }

    public override void Kinds(IReadOnlyList<JsonKind> kinds)
    {
        var grid = new Grid().AddColumns(4);
        foreach (var kind in kinds)
            grid.AddRow($"[bold]{kind.Id.EscapeMarkup()}[/]", kind.Description.EscapeMarkup(), (kind.Mcu ?? "").EscapeMarkup(), kind.Road.EscapeMarkup());
        AnsiConsole.Write(grid);
    }

    public override void Firmware(string file, FirmwareImage image, uint? start, FlashException? misfit)
    {
        var grid = new Grid().AddColumns(2);
        foreach (var (key, value) in FirmwareText.Of(file, image, start, misfit))
            grid.AddRow($"[grey]{key.EscapeMarkup()}[/]", value.EscapeMarkup());
        AnsiConsole.Write(grid);
    }

    public override void Scenarios(IReadOnlyList<Scenario> scenarios)
    {
        var grid = new Grid().AddColumns(2);
        foreach (var scenario in scenarios)
            grid.AddRow($"[bold]{scenario.Name.EscapeMarkup()}[/]", scenario.Description.EscapeMarkup());
        AnsiConsole.Write(grid);
    }

    /// <summary>The bars are drawn by a thread of their own, so that they move while the flash waits.</summary>
    public override void Begin(int boards)
    {
        _oneBoard = boards == 1;
        using var ready = new ManualResetEventSlim();
        _renderer = new Thread(() => AnsiConsole.Progress().Columns(new StepColumn(_steps)).Start(context =>
        {
            _progress = context;
            ready.Set();
            _over.Task.Wait();
        }))
        {
            IsBackground = true,
            Name = "progress",
        };
        _renderer.Start();
        ready.Wait();
    }

    public override void Event(FlashEvent step)
    {
        if (WasInPlan(step))
            return;
        if (step.Kind is FlashEventKind.PointOfNoReturn or FlashEventKind.Verdict)
        {
            if (step.Report is { Refused: false } report && TaskOf(step.Board, step.Phase) is { } ended)
                _steps[ended.Id] = _steps[ended.Id] with
                {
                    Label = report.Board,
                    Message = report.Ok ? "flashed" : $"failed: {report.Fault?.Code}",
                    IsDone = true,
                    IsBad = !report.Ok,
                    Begin = step.At - report.Elapsed,
                    End = step.At,
                };
            return;
        }
        // What a person is to do must not be cut off at the line's end.
        if (step.Phase == FlashPhase.Person || step.Kind is FlashEventKind.Note or FlashEventKind.Warning)
        {
            Write($"  {(step.Kind == FlashEventKind.Warning ? "!" : "·")} {(step.Board is null ? "" : step.Board + ": ")}{step.Message}",
                step.Kind is FlashEventKind.Warning or FlashEventKind.Begin ? Tone.Warning : Tone.Dim);
            return;
        }
        var task = TaskOf(step.Board, step.Phase) ?? Add(step);
        var isDone = step.Kind == FlashEventKind.End && (_oneBoard || step.Board is null);
        var old = _steps.GetValueOrDefault(task.Id);
        _steps[task.Id] = new Step(
            Label(step), step.Message.Length > 0 ? step.Message : old?.Message ?? "", step.Done, step.Total,
            step.Phase, Begin: old is { IsDone: false } && old.Phase == step.Phase ? old.Begin : step.At, End: step.At, isDone, IsBad: false);
        if (isDone)
            task.StopTask();
    }

    public override void End()
    {
        _over.TrySetResult();
        _renderer?.Join();
        AnsiConsole.WriteLine();
    }

    public override void Bus(UsbIpEvent happened) => Write(BusText.Of(happened), happened.Kind switch
    {
        UsbIpEventKind.Refused or UsbIpEventKind.Dropped => Tone.Warning,
        UsbIpEventKind.Left or UsbIpEventKind.Released => Tone.Dim,
        _ => Tone.Normal,
    });

    public override void Result(FlashReport report)
    {
        foreach (var line in ResultText.Of(report, FrontEnd.CommandLine))
            Write(line.Text, line.Tone);
    }

    public override void Jobs(IReadOnlyList<JsonJob> jobs)
    {
        foreach (var line in jobs.SelectMany(JobText.Of))
            Write(line.Text, line.Tone);
    }

    public override void Doctor(IReadOnlyList<DoctorFinding> findings, int checks)
    {
        foreach (var line in DoctorText.Of(findings, checks))
            Write(line.Text, line.Tone);
    }

    public override void Fault(FlashException fault)
    {
        Write($"{fault.Cause} [{fault.Code}]", Tone.Bad);
        Write($"What to do: {fault.Remedy}", Tone.Warning);
    }

    public override void Say(string text) => Write(text, Tone.Normal);

    public override bool Confirm(string question) => HasPerson && AnsiConsole.Confirm(question.EscapeMarkup(), defaultValue: false);

    private static void Write(string text, Tone tone) => AnsiConsole.Write(new Spectre.Console.Text(text + "\n", new Style(tone switch
    {
        Tone.Dim => Color.Grey,
        Tone.Good => Color.Green,
        Tone.Warning => Color.Yellow,
        Tone.Bad => Color.Red,
        _ => Color.Default,
    })));

    // One board: a line for each phase. Several at once: a line for each board, which says the phase.
    private string KeyOf(string? board, FlashPhase phase) => _oneBoard || board is null ? $"{board}/{phase}" : board;

    private ProgressTask? TaskOf(string? board, FlashPhase phase) => _tasks.GetValueOrDefault(KeyOf(board, phase));

    private ProgressTask Add(FlashEvent step)
    {
        var task = _progress!.AddTask(step.Phase.ToString(), maxValue: 1);
        return _tasks[KeyOf(step.Board, step.Phase)] = task;
    }

    private string Label(FlashEvent step) => _oneBoard || step.Board is null ? step.Phase.ToString() : $"{step.Board} {step.Phase.ToString().ToLowerInvariant()}";

    private sealed record Step(string Label, string Message, long Done, long Total, FlashPhase Phase, TimeSpan Begin, TimeSpan End, bool IsDone, bool IsBad)
    {
        public double Seconds => (End - Begin).TotalSeconds;
    }

    /// <summary>A whole line: mark, phase, and either the bar with rate and time left or what came out.</summary>
    private sealed class StepColumn(ConcurrentDictionary<int, Step> steps) : ProgressColumn
    {
        private const int BarWidth = 28;

        private readonly DateTimeOffset _begin = TimeProvider.System.GetUtcNow();

        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime)
        {
            if (!steps.TryGetValue(task.Id, out var step))
                return Spectre.Console.Text.Empty;
            var label = $"{step.Label,-10}".EscapeMarkup();
            if (step.IsDone)
            {
                var mark = step.IsBad ? "[red]x[/]" : options.Unicode ? "[green]✔[/]" : "[green]+[/]";
                return new Markup($"  {mark} {label} {step.Message.EscapeMarkup()} [grey]{step.Seconds:0.0} s[/]");
            }
            var frames = options.Unicode ? "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" : "|/-\\";
            var frame = frames[(int)((TimeProvider.System.GetUtcNow() - _begin).TotalMilliseconds / 100) % frames.Length];
            return new Markup($"  [blue]{frame}[/] {label} {(step.Total > 0 ? Bar(step, options.Unicode) : $"[grey]{step.Message.EscapeMarkup()}[/]")}");
        }

        private static string Bar(Step step, bool unicode)
        {
            var share = Math.Clamp((double)step.Done / step.Total, 0, 1);
            var filled = (int)(share * BarWidth);
            var (full, empty) = unicode ? ('━', '─') : ('#', '.');
            var rate = step.Seconds > 0 ? step.Done / step.Seconds : 0;
            var left = rate > 0 ? $"  {(step.Total - step.Done) / rate:0.0} s left" : "";
            return $"[green]{new string(full, filled)}[/][grey]{new string(empty, BarWidth - filled)}[/] {share,4:0%}  {step.Done / 1024.0:0.0} of {step.Total / 1024.0:0.0} KiB"
                + (rate > 0 ? $"  {rate / 1024:0} KiB/s" : "") + left;
        }
    }
}
