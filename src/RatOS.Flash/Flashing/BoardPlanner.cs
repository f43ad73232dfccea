using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>Plans one board: finds its device, chooses the entry and the bootloader, and checks the image. Pure.</summary>
internal sealed class BoardPlanner
{
    internal const string HasOwnUpdater = "its firmware is not Klipper; the maker's own updater updates it";

    private readonly FlashRequest _request;
    private readonly DeviceList _seen;
    private BoardProfile _profile;
    private readonly ImmutableArray<Finding>.Builder _findings = ImmutableArray.CreateBuilder<Finding>();

    private BoardPlanner(FlashRequest request, DeviceList seen, BoardEvidence? evidence) =>
        (_request, _seen, _profile) = (request, seen, request.Board.Profile.With(evidence));

    private string Name => _request.Board.Name;

    public static BoardPlan Plan(FlashRequest request, DeviceList seen, BoardEvidence? evidence)
    {
        var plan = new BoardPlanner(request, seen, evidence).Plan();
        if (request.SkipReason is { } reason)
            return plan with { Findings = [PlanFindings.Needless(request.Board.Name, reason)] };
        var isThere = plan is not { Device: null, Entry: not FlashEntry.SdCard };
        // The inventory knows every section, and so more of an absent board than its plan; an earlier flash is known to the plan alone.
        var findings = !isThere && request.Earlier is null && request.Findings.Any(known => known.Kind == FaultKind.BoardNotSeen)
            ? plan.Findings.RemoveAll(found => found.Kind == FaultKind.BoardNotSeen) : plan.Findings;
        var before = request.Findings.Where(known =>
            !(isThere && known.Kind.EndsWhenBoardAppears) && findings.All(found => found.Kind != known.Kind));
        return plan with { Findings = [.. before, .. findings] };
    }

    private BoardPlan Plan()
    {
        var guide = BoardGuide.Of(_profile);
        if (guide.Method == FlashMethod.Process)
            return PlanProcess();
        if (_request is { Job: FlashJob.Write, Image: null, UsesOwnUpdater: true } && PlanProbe() is { } probe)
            return probe;
        var isAskedFirst = _request.Job == FlashJob.Identify
            || (_request.Job is FlashJob.Write or FlashJob.SdCard && IsUnidentified && !_request.UsesOwnUpdater
                && (_request is { Image: null } or { Job: FlashJob.SdCard } || _profile.ApplicationStart is null));
        if (isAskedFirst && PlanQuestion() is { } question)
            return question;
        // A stock bootloader also writes chips that nothing here does.
        var isBuiltFor = _profile.Mcu is { IsWritten: true }
            || (_request.UsesSdCard && (_profile.SdCard is not null || _profile.CardCandidates.Any()));
        if (!isBuiltFor || _profile.Mcu is not { } mcu || _profile.ApplicationStart?.Value is not { } start)
        {
            CheckChip();
            Block(guide.Method == FlashMethod.Unknown && _profile.SdCard is null && MissingFact.Of(_profile) is { } missing
                ? BoardFaults.FactMissing(missing) : BoardFaults.NoRoad(Name, WhyNoMethod(guide.Method), guide.Remedy));
            return Made().SeenAt(new BoardFinder(_request, _seen, _profile, ImmutableArray.CreateBuilder<Finding>()).Find(_profile.Mcu));
        }
        if (_request.UsesSdCard)
            return PlanSdCard(mcu, start);
        var finder = new BoardFinder(_request, _seen, _profile, _findings);
        var device = finder.Find(mcu);
        if (device is not null && StartByKatapult(device, mcu) is { } behind)
        {
            (_profile, start) = (_profile.With(new BoardFacts(FactSource.User, "its firmware") { ApplicationStart = behind }), behind);
            guide = BoardGuide.Of(_profile);
        }
        var refusal = device is null ? null : _request.Board.Drivers.Showing(device)?.Refusal(_profile, device);
        if (guide.Method is FlashMethod.Uf2 or FlashMethod.DfuUtil && refusal is null)
        {
            // Connected or not: the board must not even be sent into its bootloader.
            _findings.Insert(0, Finding.Blocker(BoardFaults.NoRoad(Name, WhyNoMethod(guide.Method), guide.Remedy)));
            CheckImage(mcu, start);
            return Made() with { Device = device };
        }
        var isBridge = device is not null && finder.IsBridge(device);
        _profile = AtPlace(device, isBridge);
        var plan = Made() with { Device = device, IsCanBridge = isBridge };
        if (device is not null && refusal is null)
            plan = Enter(plan, device, mcu);
        if (device is { Can: not null } && plan.Entry == FlashEntry.None)
            Block(CanFaults.CanNoKatapult(Name));
        if (plan.ManualEntry is { } manual)
            _findings.Add(Finding.Of(FindingSeverity.Warning, manual));
        if (refusal is not null)
            Block(refusal);
        if (device is { LacksSerialDriver: true })
            Block(ComputerFaults.NoSerialDriver(device.ToString()));
        CheckChip();
        CheckStart();
        CheckImage(mcu, start);
        if (device is not null)
            plan = CheckLink(plan);
        NoteConditions(plan, mcu);
        return plan with { Findings = _findings.ToImmutable() };
    }

    /// <summary>
    /// Nothing says where its application begins, or which pins its link has: facts that a chip in no catalogue can only tell itself.
    /// </summary>
    private bool IsUnidentified => _profile.Evidence is null && (_profile.Chip is null || _profile.Mcu is not null)
        && (_profile.Chip is null || _profile.ApplicationStart is null
            || (_profile.Link?.Value is { Pins: null, Link: not BuildLink.Usb } && _request.Board.CanUuid is not null));

    /// <summary>The plan to ask the board what it is; null where it does not run Klipper on a bus: the plan goes on without.</summary>
    private BoardPlan? PlanQuestion()
    {
        var about = ImmutableArray.CreateBuilder<Finding>();
        var finder = new BoardFinder(_request, _seen, _profile, about);
        // On a wire nothing but Klipper's own report shows that no bootloader waits there, and Klipper's frames would wedge Katapult.
        var device = finder.Find(_profile.Mcu);
        if (device is null || _request.Board.Drivers.Showing(device) is not null
            || (device.IsWired && _request.Board.RunningVersion is null) || about.Any(one => one.Severity == FindingSeverity.Blocker))
        {
            if (_request.Job == FlashJob.Identify)
                _findings.AddRange(about);
            return _request.Job == FlashJob.Identify ? Made().SeenAt(device) : null;
        }
        if (_request.Job != FlashJob.Identify)
            _findings.Add(PlanFindings.AskedFirst(Name));
        var isBridge = finder.IsBridge(device);
        _profile = AtPlace(device, isBridge);
        return Made() with { Device = device, IsCanBridge = isBridge, IsAskedFirst = true };
    }

    private BoardPlan PlanProcess()
    {
        if (_request.Image is { IsHostProcess: false } other)
            Block(FirmwareFaults.FirmwareWrongMcu(other.Mcu, "process of this computer (linux)"));
        CheckVersion();
        return Made() with { Entry = FlashEntry.Replace };
    }

    /// <summary>The plan for a probe that its maker's updater would recognise; null where there is none.</summary>
    private BoardPlan? PlanProbe()
    {
        var probes = _seen.Devices.Where(ProbeUpdater.IsFor).ToList();
        if (probes.Find(probe => probe.Port == _request.Board.Port || (probe.Serial is not null && probe.Serial == _request.Board.Serial))
            is not { } device)
            return null;
        if (device.LacksSerialDriver)
            Block(ComputerFaults.NoSerialDriver(device.ToString()));
        // Its updater reaches a probe in its bootloader only together with all others.
        else if (device.Node is null && probes.Count > 1)
            Block(BoardFaults.BoardsAlike(Name, probes.Select(probe => probe.Port)));
        return Made() with { Device = device, Entry = FlashEntry.OwnUpdater };
    }

    private BoardPlan PlanSdCard(Mcu mcu, uint start)
    {
        var about = ImmutableArray.CreateBuilder<Finding>();
        var finder = new BoardFinder(_request, _seen, _profile, about);
        var device = finder.Find(mcu);
        _profile = AtPlace(device, device is not null && finder.IsBridge(device));
        // A board with broken firmware does not appear on the bus, and a card helps then. A recovery needs no card while the board answers.
        _findings.AddRange(
            about.Where(finding => _request.Job is FlashJob.Recover or FlashJob.ConfirmSdCard || !finding.Kind.EndsWhenBoardAppears));
        var plan = Made() with { Device = device, Entry = _request.Job == FlashJob.Recover ? FlashEntry.None : FlashEntry.SdCard };
        if (MissingFact.WhyNoCard(_profile, plan.HasReplacedStock) is { } why)
            Block(why);
        CheckChip();
        CheckStart();
        CheckImage(mcu, start);
        CheckLink(plan);
        return plan with { Findings = _findings.ToImmutable() };
    }

    // ---- the bootloader

    /// <summary>The bootloader that waits, or the one that Klipper starts; the user's choice if neither is known.</summary>
    private BoardPlan Enter(BoardPlan plan, Device device, Mcu mcu)
    {
        var entered = EnterByLink(plan, device);
        if (_request.Board.Bootloader is not { } chosen)
            return entered;
        var link = device.Usb is not null ? BuildLink.Usb : device.Can is not null ? BuildLink.Can : BuildLink.Uart;
        var contradiction = chosen switch
        {
            _ when !chosen.IsReachedOver(link) => link == BuildLink.Usb ? $"{device} is on USB, not on a UART"
                : $"{device.Port} is {(link == BuildLink.Can ? "a CAN bus" : "a UART")}, not USB",
            { IsUnlisted: true } => chosen.IsOn(mcu) ? null : $"a {mcu.Name} has no such ROM",
            _ => entered.Bootloader is { } found && found != chosen ? $"the board at {device.Port} uses {found.Label}" : null,
        };
        if (contradiction is not null)
        {
            Block(BoardFaults.OtherBootloader(Name, chosen.Label, contradiction));
            return entered;
        }
        return chosen.IsUnlisted ? entered with { Entry = FlashEntry.InBootloader, Bootloader = chosen }
            : entered with { Bootloader = entered.Bootloader ?? chosen };
    }

    private BoardPlan EnterByLink(BoardPlan plan, Device device)
    {
        if (_request.Board.Drivers.Showing(device) is { } waiting)
            return plan with { Entry = FlashEntry.InBootloader, Bootloader = waiting };
        if (device is { IsWired: false, Can: null, RunsKlipper: false })
            return plan;
        var link = device.IsWired ? BuildLink.Uart : device.Can is not null && !plan.IsCanBridge ? BuildLink.Can : BuildLink.Usb;
        var request = device.IsWired ? FlashEntry.UartRequest : device.Can is not null ? FlashEntry.CanRequest : FlashEntry.Touch;
        var candidates = Candidates(plan, link);
        foreach (var driver in candidates)
        {
            switch (driver.IsStartedByKlipper(link, _profile))
            {
                case true:
                    return plan with { Entry = request, Bootloader = driver };
                // Only the board itself knows whether it has this one.
                case null:
                    return plan with { Entry = request, Bootloader = candidates.Count == 1 ? driver : null };
            }
        }
        return link == BuildLink.Can ? plan
            : plan with { Entry = FlashEntry.Manual, Bootloader = candidates.Find(driver => driver.StartsOnBoot0) };
    }

    /// <summary>Bootloaders that a running Klipper on this chip may start, in the order in which it tries them.</summary>
    public static List<BootloaderDriver> Candidates(BoardPlan plan, BuildLink link) =>
        [.. plan.Request.Board.Drivers.Where(driver =>
            !driver.IsUnlisted && driver.IsReachedOver(link) && plan.Profile.Mcu is { } mcu && driver.IsOn(mcu))];

    public static FlashException NeedsOperator(BoardPlan plan)
    {
        var why = Candidates(plan, BuildLink.Usb).Select(driver => driver.WhyNotStarted(plan.Profile)).OfType<string>()
            .DefaultIfEmpty("its firmware starts none");
        return FlashFaults.NeedsBootloaderByHand(plan.Name, string.Join(", and ", why), plan.ManualSteps);
    }

    private string WhyNoMethod(FlashMethod method) => method switch
    {
        FlashMethod.Uf2 => $"a {_profile.Chip?.Value} on a UART without Katapult is updated by its ROM, which is on USB",
        FlashMethod.DfuUtil =>
            $"its firmware begins at {_profile.ApplicationStart?.Value:x8}, in a flash sector that it shares with its "
            + "bootloader",
        FlashMethod.Avrdude => $"its chip ({_profile.Chip?.Value}) is an AVR",
        FlashMethod.OwnUpdater => HasOwnUpdater,
        _ => _profile.Mcu is { IsWritten: true } ? "its application start is unknown"
            : $"its chip ({_profile.Chip?.Value ?? "none"}) is not supported",
    };

    // ---- checks

    /// <summary>Sources that contradict each other about the chip, and a chip id of another chip.</summary>
    private void CheckChip()
    {
        // The inventory reports its own findings.
        if (_request.Findings.Any(finding => finding.Kind == FaultKind.WrongMcu) || _profile.Evidence is not { } evidence)
            return;
        if (_profile.Contradictions.FirstOrDefault(contradiction => contradiction.Fact == BoardFact.Chip) is { } chips)
            Block(BoardFaults.WrongMcu(Name, chips.Weaker.Value, $"its firmware runs on a {chips.Stronger.Value}"));
        else if (evidence.Chip?.IdCode is { } id && _profile.Mcu is { } mcu && !mcu.IdCodes.Contains(id))
            Block(BoardFaults.WrongMcu(Name, mcu.Name, $"its chip id is {id:x3}"));
    }

    /// <summary>
    /// Sources that differ about the application's start. The catalogue's entry is for a board on USB: on CAN it has the Katapult that a
    /// node needs.
    /// </summary>
    private void CheckStart()
    {
        // Where firmware for that very start was given, it and the board count more than the catalogue.
        var isGiven = _profile.Mcu is { } mcu && _request.Image?.BuiltFor(mcu) == _profile.ApplicationStart?.Value;
        var starts = _profile.Contradictions.FirstOrDefault(contradiction => contradiction.Fact == BoardFact.ApplicationStart
            && !((isGiven || _request.Board.CanUuid is not null) && contradiction.Weaker.Source == FactSource.Catalogue));
        if (starts is { Stronger: var found, Weaker: var declared })
            Block(BoardFaults.OtherStart(Name, declared.Value, declared.Where, found.Value, found.Where));
    }

    /// <summary>
    /// The start of the given firmware, where it is behind a Katapult that the catalogue's entry does not have: one that waits, or that
    /// may be below a Klipper which was not asked yet. The bootloader and the running firmware confirm it before anything is written.
    /// </summary>
    private uint? StartByKatapult(Device device, Mcu mcu)
    {
        if (_profile.ApplicationStart?.Value != mcu.BootStart || _request.Image is not { } image || image.Mcu != mcu.Name
            || image.BuiltFor(mcu) is not { } start || start == mcu.BootStart)
            return null;
        var below = _profile.Evidence?.Chip?.Katapult;
        var isThere = _request.Board.Drivers.Showing(device) is { } waiting ? waiting.ReplacesStock
            : device.IsWired || device.Can is not null || device.RunsKlipper ? below ?? _profile.Evidence is null : false;
        return isThere ? start : null;
    }

    private void CheckImage(Mcu mcu, uint start)
    {
        if (_request.Image is not { } image)
            return;
        // As long as the chip's own size is not known, the bootloader decides.
        var flashEnd = mcu.FlashBase + Math.Min(_profile.FlashSize?.Value ?? mcu.FlashSize, mcu.FlashSize);
        if (image.CheckCompatibility(mcu, start, flashEnd) is { } incompatible)
            Block(incompatible);
        else if (_request.AsksStart && image.CheckStartUp(start) is { } strange)   // recorded virtual firmware had less start-up code
            Block(strange);
        CheckVersion();
        _findings.AddRange(BuildDifferences.Of(_profile, image));
    }

    /// <summary>The profile with the link over which the board is seen, or should be.</summary>
    private BoardProfile AtPlace(Device? device, bool isBridge)
    {
        var (link, where) = device switch
        {
            _ when _request.Board.CanUuid is not null =>
                (isBridge ? new(BuildLink.UsbCanBridge) : new BuildTransport(BuildLink.Can, Rate: device?.Can?.Bitrate), "its canbus_uuid"),
            { IsWired: true } => (new BuildTransport(BuildLink.Uart), $"its port {device.Port}"),
            { RunsKlipper: true } => (BuildTransport.Usb, $"its port {device.Port}"),
            _ => (null, ""),   // a bootloader may be reached over another link than its firmware
        };
        return link is null ? _profile : _profile.With(new BoardFacts(FactSource.Board, where) { Link = link });
    }

    /// <summary>
    /// Firmware that speaks over another link, other pins or at another rate would make the board unreachable. A change of link that the
    /// user named is let through, where the new link exists.
    /// </summary>
    private BoardPlan CheckLink(BoardPlan plan)
    {
        if (_profile.Link is not { Value: var now } known)
            return plan;
        var built = _request.Image is { } image ? BuildTransport.Of(image.Dictionary.Config) : _profile.ChosenLink;
        if (_request.LinkChange is { } change)
        {
            if (change.From != now.Link || (built is not null && change.To != built.Link))
                Block(FirmwareFaults.OtherChange(Name, $"{change}", $"{built?.ToString() ?? "a link that is not known"}", $"{now}"));
            else if (change.To == BuildLink.Can)
                CheckInterface(built);
            return plan with { LinkChange = change };
        }
        if (now is { Link: BuildLink.Uart } && _profile.HostBaud is { } host)
            now = CheckBaud(built, now, host);
        if (built?.Differs(now) == true)
            Block(OtherLink(built, now, known.Where));
        return plan;
    }

    /// <summary>On a UART the new firmware must have the baud at which Klipper opens the port, whatever the old one has.</summary>
    /// <returns>The board's link; at the new firmware's baud, where that was compared here.</returns>
    private BuildTransport CheckBaud(BuildTransport? built, BuildTransport now, Fact<int> host)
    {
        if (_profile.RunningBaud is { } running && running != host.Value)
            _findings.Add(PlanFindings.BaudDiffers(Name, running, host.Value));
        if (built is not { Link: BuildLink.Uart, Rate: { } baud })
            return now with { Rate = host.Value };
        if (baud != host.Value)
            Block(FirmwareFaults.OtherBaud(Name, baud, host.Value));
        return now with { Rate = baud };
    }

    private FlashException OtherLink(BuildTransport built, BuildTransport now, string where)
    {
        var change = new LinkChange(now.Link, built.Link);
        var named = LinkChange.Known.ContainsValue(change) ? $"{change}" : null;
        return now.Link switch
        {
            BuildLink.Can when built is { Link: BuildLink.Can, Rate: { } rate } && now.Rate is { } bitrate && rate != bitrate =>
                CanFaults.CanFirmwareBitrate(Name, rate, _request.Board.CanInterface, bitrate),
            BuildLink.Can or BuildLink.UsbCanBridge => CanFaults.CanOtherFirmware(Name, $"{built}", $"{now}", where, named),
            _ => FirmwareFaults.OtherLink(Name, $"{built}", $"{now}", where, named),
        };
    }

    /// <summary>The CAN bus of the new firmware: present, up, and at its bitrate.</summary>
    private void CheckInterface(BuildTransport? built)
    {
        var name = _request.Board.CanInterface;
        var seen = _seen.Devices.FirstOrDefault(device => device.Port == name && device is { Can: not null, CanNode: null });
        if (seen is not { Can: { } can })
            Block(CanFaults.CanMissing(Name, name, _seen.Description));
        else if (!can.IsUp)
            Block(CanFaults.CanDown(name));
        else if (built is { Rate: { } rate } && can.Bitrate is { } bitrate && rate != bitrate)
            Block(CanFaults.CanFirmwareBitrate(Name, rate, name, bitrate));
    }

    private void CheckVersion()
    {
        if (_request.Image is { } image && image.Version == (_profile.Evidence?.Version ?? _request.Board.RunningVersion))
            _findings.Add(PlanFindings.SameVersion(image.Version));
    }

    private void NoteConditions(BoardPlan plan, Mcu mcu)
    {
        if (plan.Entry is FlashEntry.Touch or FlashEntry.CanRequest && plan.Bootloader is not { ReplacesStock: true }
            && _profile.NeedsEmptySlot)
        {
            _findings.Add(PlanFindings.SdSlotEmpty());
        }
        if (plan.Bootloader is { } driver)
            _findings.AddRange(driver.Notes(mcu));
    }

    private void Block(FlashException fault) => _findings.Add(Finding.Blocker(fault));

    private BoardPlan Made() => new(_request, _profile) { Findings = _findings.ToImmutable() };
}
