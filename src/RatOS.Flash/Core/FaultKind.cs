namespace RatOS.Flash.Core;

/// <summary>Of which kind a fault is: its code, and how the engine may react to it. Two kinds with the same code are equal.</summary>
/// <remarks>The code is a contract: it stands in JSON, in journals and in recordings, and never changes.</remarks>
public sealed record FaultKind
{
    // Filled by the constructor of each entry below, hence above them.
    private static readonly Dictionary<string, FaultKind> Known = new(StringComparer.Ordinal);

    private FaultKind(string code, bool isKnown = true)
    {
        Code = code;
        if (isKnown)
            Known.Add(code, this);
    }

    /// <summary>Stable kebab-case name, for scripts and searches.</summary>
    public string Code { get; }

    /// <summary>The same step, done again, may succeed.</summary>
    public bool Retry { get; private init; }

    /// <summary>The device hangs: a reset by its hub may bring it back.</summary>
    public bool UsbResetMayHelp { get; private init; }

    /// <summary>Whether switching the board's USB port or its power off and on may help.</summary>
    public PowerHelp PowerMayHelp { get; private init; }

    /// <summary>What an operator does at the board so that the flash continues.</summary>
    public OperatorStep OperatorStep { get; private init; }

    /// <summary>After <see cref="OperatorStep"/> the board is awaited in its bootloader.</summary>
    public bool AwaitsBootloader { get; private init; } = true;

    /// <summary>After <see cref="OperatorStep"/> the board is awaited in Klipper, even where it ran Klipper before.</summary>
    public bool AwaitsKlipper { get; private init; }

    /// <summary>A bootloader reported it: the board is in that bootloader.</summary>
    public bool BootloaderAnswered { get; private init; }

    /// <summary>The bootloader received a command and refused it.</summary>
    public bool IsRefusal { get; private init; }

    /// <summary>The firmware was written and does not run: an older one may.</summary>
    public bool WorthRollBack { get; private init; }

    /// <summary>The board has not answered since: it may be in a bootloader that no bus shows.</summary>
    public bool MayHideBootloader { get; private init; }

    /// <summary>A finding that no longer holds once the board is on the bus.</summary>
    public bool EndsWhenBoardAppears { get; private init; }

    /// <summary>A warning of this kind needs the user's consent before the flash.</summary>
    public bool NeedsConsent { get; private init; } = true;

    /// <summary>The CAN bus itself is in trouble, not one node.</summary>
    public bool IsCanTrouble { get; private init; }

    /// <summary>Where the fault lies, outside of a flash.</summary>
    public FaultOrigin Origin { get; private init; }

    /// <summary>All kinds of this version.</summary>
    public static IReadOnlyCollection<FaultKind> All => Known.Values;

    /// <summary>The kind with this code. A code of another version gives a kind without policy.</summary>
    public static FaultKind Of(string code) => Known.GetValueOrDefault(code) ?? new(code, isKnown: false);

    public bool Equals(FaultKind? other) => other is not null && Code == other.Code;

    public override int GetHashCode() => StringComparer.Ordinal.GetHashCode(Code);

    public override string ToString() => Code;

    // ---- firmware files

    public static FaultKind NotOurs { get; } = new("not-ours");
    public static FaultKind PinsUnknown { get; } = new("pins-unknown");
    public static FaultKind FileNotOffered { get; } = new("file-not-offered");
    public static FaultKind FirmwareUnreadable { get; } = new("firmware-unreadable") { Origin = FaultOrigin.Request };
    public static FaultKind NotKlipperFirmware { get; } = new("not-klipper-firmware");
    public static FaultKind FirmwareCutShort { get; } = new("firmware-cut-short");
    public static FaultKind FirmwareBadContainer { get; } = new("firmware-bad-container");
    public static FaultKind FirmwareDfuFile { get; } = new("firmware-dfu-file");
    public static FaultKind FirmwareWrongMcu { get; } = new("firmware-wrong-mcu");
    public static FaultKind FirmwareWrongOffset { get; } = new("firmware-wrong-offset");
    public static FaultKind FirmwareBadVectors { get; } = new("firmware-bad-vectors");
    public static FaultKind FirmwareStrangeCode { get; } = new("firmware-strange-code");
    public static FaultKind FirmwareOtherLink { get; } = new("firmware-other-link");
    public static FaultKind Answered { get; } = new("answered");
    public static FaultKind InitialPinsDiffer { get; } = new("initial-pins-differ") { NeedsConsent = false };
    public static FaultKind ClockDiffers { get; } = new("clock-differs");
    public static FaultKind BaudDiffers { get; } = new("baud-differs") { NeedsConsent = false };
    public static FaultKind FirmwareMissing { get; } = new("firmware-missing");
    public static FaultKind StartInsideSector { get; } = new("start-inside-sector");

    // ---- boards

    public static FaultKind BadBoardDefinition { get; } = new("bad-board-definition");
    public static FaultKind AmbiguousBoard { get; } = new("ambiguous-board");
    public static FaultKind NoPower { get; } = new("no-power") { EndsWhenBoardAppears = true };
    public static FaultKind TwoSectionsOnePort { get; } = new("two-sections-one-port");
    public static FaultKind PortOfAnotherBoard { get; } = new("port-of-another-board");
    public static FaultKind BadUuid { get; } = new("bad-uuid");
    public static FaultKind NameTaken { get; } = new("name-taken");
    public static FaultKind KindUnknown { get; } = new("kind-unknown");
    public static FaultKind PinsUnread { get; } = new("pins-unread");
    public static FaultKind BootloaderAssumed { get; } = new("bootloader-assumed");
    public static FaultKind UnknownBoard { get; } = new("unknown-board") { Origin = FaultOrigin.Request };
    public static FaultKind NoBoards { get; } = new("no-boards");
    public static FaultKind BoardAway { get; } = new("board-away") { EndsWhenBoardAppears = true };
    public static FaultKind BoardNotSeen { get; } = new("board-not-seen") { EndsWhenBoardAppears = true };
    public static FaultKind ForeignFirmware { get; } = new("foreign-firmware") { EndsWhenBoardAppears = true };
    public static FaultKind BoardsAlike { get; } = new("boards-alike");
    public static FaultKind WhichBootloader { get; } = new("which-bootloader") { EndsWhenBoardAppears = true };
    public static FaultKind OtherBootloader { get; } = new("other-bootloader");
    public static FaultKind SamePort { get; } = new("same-port");
    public static FaultKind NoRoad { get; } = new("no-road");
    public static FaultKind FactMissing { get; } = new("fact-missing");
    public static FaultKind BadAnswer { get; } = new("bad-answer") { Origin = FaultOrigin.Request };
    public static FaultKind ImportUnreadable { get; } = new("import-unreadable") { Origin = FaultOrigin.Request };
    public static FaultKind WrongMcu { get; } = new("wrong-mcu");
    public static FaultKind WrongBoard { get; } = new("wrong-board");
    public static FaultKind WrongStart { get; } = new("wrong-start");
    public static FaultKind CloneRefused { get; } = new("clone-refused");
    public static FaultKind OtherBoardAnswers { get; } = new("other-board-answers");

    // ---- one flash

    public static FaultKind NothingToRollBack { get; } = new("nothing-to-roll-back");
    public static FaultKind KlipperRefusesFirmware { get; } = new("klipper-refuses-firmware");
    public static FaultKind NeedsBootloaderByHand { get; } = new("needs-bootloader-by-hand") { NeedsConsent = false };
    public static FaultKind Cancelled { get; } = new("cancelled");
    public static FaultKind ConsentMissing { get; } = new("consent-missing");

    public static FaultKind FirmwareDiffers { get; } = new("firmware-differs") { Origin = FaultOrigin.Request };
    public static FaultKind FirmwareUnconfirmed { get; } = new("firmware-unconfirmed") { Origin = FaultOrigin.Request };
    public static FaultKind AgentBusy { get; } = new("agent-busy") { Origin = FaultOrigin.Request };
    public static FaultKind StaleButton { get; } = new("stale-button") { Origin = FaultOrigin.Request };
    public static FaultKind Interrupted { get; } = new("interrupted");
    public static FaultKind TouchIgnored { get; } =
        new("touch-ignored") { PowerMayHelp = PowerHelp.Always, OperatorStep = OperatorStep.StartBootloader };
    public static FaultKind BootloaderNotSeen { get; } = new("bootloader-not-seen")
    {
        MayHideBootloader = true,
        PowerMayHelp = PowerHelp.Always,
        OperatorStep = OperatorStep.StartBootloader,
    };
    public static FaultKind NotSeenAgain { get; } =
        new("not-seen-again") { MayHideBootloader = true, PowerMayHelp = PowerHelp.Always, OperatorStep = OperatorStep.StartBootloader };
    public static FaultKind CameBackAsKlipper { get; } =
        new("came-back-as-klipper") { PowerMayHelp = PowerHelp.Always, OperatorStep = OperatorStep.StartBootloader };
    public static FaultKind VerifyFailed { get; } = new("verify-failed") { Retry = true };
    public static FaultKind DeviceLost { get; } =
        new("device-lost") { PowerMayHelp = PowerHelp.WithFirmware, OperatorStep = OperatorStep.CheckCable };
    public static FaultKind DidNotLeave { get; } = new("did-not-leave")
    {
        PowerMayHelp = PowerHelp.Always,
        OperatorStep = OperatorStep.RemoveBoot0AndPowerCycle,
        WorthRollBack = true,
    };
    public static FaultKind NotBack { get; } =
        new("not-back") { PowerMayHelp = PowerHelp.Always, OperatorStep = OperatorStep.PowerCycle, WorthRollBack = true };
    public static FaultKind NotBackAfterReset { get; } =
        new("not-back-after-reset") { PowerMayHelp = PowerHelp.Always, OperatorStep = OperatorStep.PowerCycle, WorthRollBack = true };
    public static FaultKind BootloaderAfterReset { get; } =
        new("bootloader-after-reset") { OperatorStep = OperatorStep.RemoveBoot0AndReset, AwaitsBootloader = false, AwaitsKlipper = true };
    public static FaultKind OtherFirmwareRuns { get; } = new("other-firmware-runs") { WorthRollBack = true };
    public static FaultKind KlipperSilent { get; } = new("klipper-silent")
    {
        PowerMayHelp = PowerHelp.Always,
        OperatorStep = OperatorStep.RemoveBoot0AndPowerCycle,
        AwaitsKlipper = true,
        WorthRollBack = true,
    };
    public static FaultKind AskedInBootloader { get; } = new("asked-in-bootloader");
    public static FaultKind KlipperDictionary { get; } = new("klipper-dictionary") { WorthRollBack = true };
    public static FaultKind NoResetCommand { get; } = new("no-reset-command");
    public static FaultKind InternalError { get; } = new("internal-error") { Origin = FaultOrigin.Program };

    // ---- bootloaders

    public static FaultKind ReadProtected { get; } = new("read-protected") { BootloaderAnswered = true };
    public static FaultKind WriteProtected { get; } = new("write-protected") { BootloaderAnswered = true };
    public static FaultKind DfuDescriptor { get; } =
        new("dfu-descriptor") { Retry = true, UsbResetMayHelp = true, OperatorStep = OperatorStep.StartBootloader };
    public static FaultKind DfuRefused { get; } = new("dfu-refused") { Retry = true, UsbResetMayHelp = true, IsRefusal = true };
    public static FaultKind DfuStuck { get; } =
        new("dfu-stuck") { Retry = true, UsbResetMayHelp = true, OperatorStep = OperatorStep.StartBootloader };
    public static FaultKind KatapultSilent { get; } = new("katapult-silent")
    {
        Retry = true,
        UsbResetMayHelp = true,
        PowerMayHelp = PowerHelp.Always,
        OperatorStep = OperatorStep.DoubleReset,
    };
    public static FaultKind KatapultWedged { get; } =
        new("katapult-wedged") { PowerMayHelp = PowerHelp.Always, OperatorStep = OperatorStep.DoubleReset, BootloaderAnswered = true };
    public static FaultKind KatapultProtocol { get; } = new("katapult-protocol");
    public static FaultKind KatapultRefused { get; } = new("katapult-refused") { Retry = true };
    public static FaultKind UartRomSilent { get; } = new("uart-rom-silent") { Retry = true, MayHideBootloader = true };
    public static FaultKind UartRomRefused { get; } = new("uart-rom-refused") { Retry = true, BootloaderAnswered = true, IsRefusal = true };
    public static FaultKind BootselClosed { get; } = new("bootsel-closed") { BootloaderAnswered = true };
    public static FaultKind BootselRefused { get; } = new("bootsel-refused") { Retry = true, UsbResetMayHelp = true, IsRefusal = true };
    public static FaultKind BootselSilent { get; } = new("bootsel-silent")
    {
        Retry = true,
        UsbResetMayHelp = true,
        PowerMayHelp = PowerHelp.Always,
        OperatorStep = OperatorStep.StartBootloader,
    };

    // ---- CAN

    public static FaultKind CanMissing { get; } = new("can-missing") { EndsWhenBoardAppears = true };
    public static FaultKind CanDown { get; } = new("can-down") { Retry = true, IsCanTrouble = true };
    public static FaultKind CanUnsupported { get; } = new("can-unsupported");
    public static FaultKind CanNotAcknowledged { get; } = new("can-not-acknowledged") { Retry = true, IsCanTrouble = true };
    public static FaultKind CanBusOff { get; } = new("can-bus-off") { Retry = true, IsCanTrouble = true };
    public static FaultKind CanNodeSilent { get; } = new("can-node-silent");
    public static FaultKind CanUuidTwice { get; } = new("can-uuid-twice");
    public static FaultKind CanWrongNode { get; } = new("can-wrong-node");
    public static FaultKind CanNoKatapult { get; } = new("can-no-katapult");
    public static FaultKind CanFirmwareBitrate { get; } = new("can-firmware-bitrate");
    public static FaultKind CanOtherFirmware { get; } = new("can-other-firmware");
    public static FaultKind CanBridgeKept { get; } = new("can-bridge-kept");

    // ---- SD cards

    public static FaultKind SdCardUnknown { get; } = new("sd-card-unknown");
    public static FaultKind SdCardNotRead { get; } = new("sd-card-not-read");
    public static FaultKind SdCardByHand { get; } = new("sd-card-by-hand");
    public static FaultKind SdCardNotTaken { get; } =
        new("sd-card-not-taken") { OperatorStep = OperatorStep.CarryCard, AwaitsBootloader = false, AwaitsKlipper = true };
    public static FaultKind SdCardUnusable { get; } = new("sd-card-unusable");

    // ---- Klipper as a process

    public static FaultKind HostMcuUnreachable { get; } = new("host-mcu-unreachable");
    public static FaultKind HostMcuUnitMissing { get; } = new("host-mcu-unit-missing");

    public static FaultKind SettingsUnconfirmed { get; } = new("settings-unconfirmed");
    public static FaultKind HostMcuUnitOld { get; } = new("host-mcu-unit-old");
    public static FaultKind HostMcuNoService { get; } = new("host-mcu-no-service");
    public static FaultKind HostMcuRefused { get; } = new("host-mcu-refused");
    public static FaultKind HostMcuUnitSilent { get; } = new("host-mcu-unit-silent");
    public static FaultKind HostMcuStaging { get; } = new("host-mcu-staging");
    public static FaultKind HostMcuNotUp { get; } = new("host-mcu-not-up");
    public static FaultKind HostMcuLost { get; } = new("host-mcu-lost");

    // ---- probes with an updater of their own

    public static FaultKind ProbeUpdaterMissing { get; } = new("probe-updater-missing");
    public static FaultKind ProbeUpdateFailed { get; } = new("probe-update-failed");
    public static FaultKind ProbeUpdateEndless { get; } = new("probe-update-endless");
    public static FaultKind ProbeNotBack { get; } = new("probe-not-back");

    // ---- Klipper and Moonraker

    public static FaultKind PowerRefused { get; } = new("power-refused");
    public static FaultKind PrinterBusy { get; } = new("printer-busy");
    public static FaultKind KlipperRuns { get; } = new("klipper-runs");
    public static FaultKind KlipperWouldNotStop { get; } = new("klipper-would-not-stop");
    public static FaultKind KlipperNotStarted { get; } = new("klipper-not-started");
    public static FaultKind HeatersHot { get; } = new("heaters-hot");
    public static FaultKind PrinterUnknown { get; } = new("printer-unknown");
    public static FaultKind UpdateRuns { get; } = new("update-runs");
    public static FaultKind OtherFlashRuns { get; } = new("other-flash-runs");
    public static FaultKind MoonrakerGone { get; } = new("moonraker-gone");
    public static FaultKind MoonrakerRefused { get; } = new("moonraker-refused");

    // ---- this computer

    public static FaultKind PortLeftOff { get; } = new("port-left-off");
    public static FaultKind NoSuchPort { get; } = new("no-such-port");
    public static FaultKind NoPermission { get; } = new("no-permission");
    public static FaultKind PortHeld { get; } = new("port-held");
    public static FaultKind BoardInUse { get; } = new("board-in-use");
    public static FaultKind PortUnusable { get; } = new("port-unusable");
    public static FaultKind PortStuck { get; } = new("port-stuck");
    public static FaultKind NoSuchRate { get; } = new("no-such-rate");
    public static FaultKind NoSerialDriver { get; } = new("no-serial-driver");

    /// <summary>No longer a fault: USB needs no library. Recordings and journals of earlier versions hold it.</summary>
    public static FaultKind LibusbMissing { get; } = new("libusb-missing");
    public static FaultKind NoDeviceEvents { get; } = new("no-device-events");

    // ---- the agent

    public static FaultKind TerminalMissing { get; } = new("terminal-missing");
    public static FaultKind BadOption { get; } = new("bad-option") { Origin = FaultOrigin.Request };
    public static FaultKind NoSocket { get; } = new("no-socket");
    public static FaultKind NoAgent { get; } = new("no-agent") { Origin = FaultOrigin.Program };
    public static FaultKind AgentGone { get; } = new("agent-gone") { Origin = FaultOrigin.Program };
    public static FaultKind AlreadyRunning { get; } = new("already-running");
    public static FaultKind JournalUnwritable { get; } = new("journal-unwritable");
    public static FaultKind QueueFull { get; } = new("queue-full");
    public static FaultKind UnknownJob { get; } = new("unknown-job") { Origin = FaultOrigin.Request };
    public static FaultKind BadRequest { get; } = new("bad-request") { Origin = FaultOrigin.Request };
    public static FaultKind BadSettings { get; } = new("bad-settings") { Origin = FaultOrigin.Request };
    public static FaultKind ShuttingDown { get; } = new("shutting-down");

    // ---- builds

    public static FaultKind NotAKlipperTree { get; } = new("not-a-klipper-tree");
    public static FaultKind KlipperWithoutTags { get; } = new("klipper-without-tags");
    public static FaultKind KlipperGitUnusable { get; } = new("klipper-git-unusable");
    public static FaultKind KlipperTreeUnreadable { get; } = new("klipper-tree-unreadable");
    public static FaultKind KlipperTreeChanged { get; } = new("klipper-tree-changed");
    public static FaultKind BuildPath { get; } = new("build-path");
    public static FaultKind BuildFolder { get; } = new("build-folder");
    public static FaultKind DiskFull { get; } = new("disk-full");
    public static FaultKind ToolchainMissing { get; } = new("toolchain-missing");
    public static FaultKind BuildFailed { get; } = new("build-failed");
    public static FaultKind FirmwareTooBig { get; } = new("firmware-too-big");
    public static FaultKind ConfigDrift { get; } = new("config-drift");
    public static FaultKind MenuconfigFailed { get; } = new("menuconfig-failed");
    public static FaultKind ConfigUnusable { get; } = new("config-unusable");
    public static FaultKind BuiltOtherFirmware { get; } = new("built-other-firmware");

    // ---- recordings

    public static FaultKind BundleUnreadable { get; } = new("bundle-unreadable") { Origin = FaultOrigin.Request };
    public static FaultKind BundleVersion { get; } = new("bundle-version") { Origin = FaultOrigin.Request };
    public static FaultKind BundleUnwritable { get; } = new("bundle-unwritable") { Origin = FaultOrigin.Program };
    public static FaultKind ReplayImpossible { get; } = new("replay-impossible") { Origin = FaultOrigin.Program };

    // ---- the virtual printer

    public static FaultKind UnknownScenario { get; } = new("unknown-scenario") { Origin = FaultOrigin.Request };
    public static FaultKind NoPty { get; } = new("no-pty");
    public static FaultKind VirtualFolder { get; } = new("virtual-folder") { Origin = FaultOrigin.Program };
    public static FaultKind UsbipPort { get; } = new("usbip-port");
    public static FaultKind MoonrakerSocket { get; } = new("moonraker-socket");
    public static FaultKind VhciMissing { get; } = new("vhci-missing");
    public static FaultKind VhciNeedsRoot { get; } = new("vhci-needs-root");
    public static FaultKind VhciBusy { get; } = new("vhci-busy");
    public static FaultKind VhciRefused { get; } = new("vhci-refused");

    // ---- findings of a plan

    public static FaultKind AskedFirst { get; } = new("asked-first") { NeedsConsent = false };
    public static FaultKind OtherSerial { get; } = new("other-serial");
    public static FaultKind SameVersion { get; } = new("same-version");
    public static FaultKind SdSlotEmpty { get; } = new("sd-slot-empty");
    public static FaultKind Boot0Jumper { get; } = new("boot0-jumper");
    public static FaultKind NoSafeOrder { get; } = new("no-safe-order");
    public static FaultKind Needless { get; } = new("needless");
    public static FaultKind OwnUpdater { get; } = new("own-updater");
    public static FaultKind NoBuildConfiguration { get; } = new("no-build-configuration");
    public static FaultKind ObsoleteConfiguration { get; } = new("obsolete-configuration");
    public static FaultKind RatosCorrected { get; } = new("ratos-corrected");
    public static FaultKind RatosDiffers { get; } = new("ratos-differs");
    public static FaultKind RatosOtherStart { get; } = new("ratos-other-start");

    // ---- findings of doctor

    public static FaultKind NoSuchGroup { get; } = new("no-such-group");
    public static FaultKind NotInGroup { get; } = new("not-in-group");
    public static FaultKind UdevRulesMissing { get; } = new("udev-rules-missing");
    public static FaultKind UdevRulesOld { get; } = new("udev-rules-old");
    public static FaultKind NodeClosed { get; } = new("node-closed");
    public static FaultKind GrabberModemmanager { get; } = new("grabber-modemmanager");
    public static FaultKind GrabberBrltty { get; } = new("grabber-brltty");
    public static FaultKind MoonrakerPolicykit { get; } = new("moonraker-policykit");
    public static FaultKind ServiceNotAllowed { get; } = new("service-not-allowed");
    public static FaultKind ComponentMissing { get; } = new("component-missing");
    public static FaultKind ComponentOld { get; } = new("component-old");
    public static FaultKind ComponentFailed { get; } = new("component-failed");
    public static FaultKind ComponentNotLoaded { get; } = new("component-not-loaded");
    public static FaultKind ComponentNotIncluded { get; } = new("component-not-included");
    public static FaultKind ComponentNotExcluded { get; } = new("component-not-excluded");
    public static FaultKind MacrosMissing { get; } = new("macros-missing");
    public static FaultKind MacrosOld { get; } = new("macros-old");
    public static FaultKind MacrosNotLoaded { get; } = new("macros-not-loaded");
    public static FaultKind MacrosNotIncluded { get; } = new("macros-not-included");
    public static FaultKind AgentNotRunning { get; } = new("agent-not-running");
    public static FaultKind AgentOld { get; } = new("agent-old");
    public static FaultKind InstallationOld { get; } = new("installation-old");
    public static FaultKind HostMcuUnit { get; } = new("host-mcu-unit");
    public static FaultKind RatosHookBroken { get; } = new("ratos-hook-broken");
    public static FaultKind RatosHook { get; } = new("ratos-hook");
    public static FaultKind PythonBroken { get; } = new("python-broken");
    public static FaultKind DiskReadOnly { get; } = new("disk-read-only");
    public static FaultKind ClockWrong { get; } = new("clock-wrong");
    public static FaultKind SandboxPartial { get; } = new("sandbox-partial");
    public static FaultKind UsbErrors { get; } = new("usb-errors");
    public static FaultKind UsbResets { get; } = new("usb-resets");
    public static FaultKind UsbOverCurrent { get; } = new("usb-over-current");
    public static FaultKind Undervoltage { get; } = new("undervoltage");
    public static FaultKind UndervoltageBefore { get; } = new("undervoltage-before");
    public static FaultKind Throttled { get; } = new("throttled");
}
