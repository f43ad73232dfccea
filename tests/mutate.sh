#!/usr/bin/env bash
# Takes one safety step after another out of a throw-away copy of the source, and shows the first test that misses it. Ends with 1 when none does, or
# when a step is no longer found in the source. Takes half an hour on two cores; not part of .ci/run.
#   tests/mutate.sh [NAME...]       only the steps whose name contains one of these
#   tests/mutate.sh --find          only looks for each step in the source, and builds nothing
# Each line names the test classes that know its step. Only where none of them fails the whole project is run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
find=
if [ "${1:-}" = --find ]; then find=yes && shift; fi
copy=$(mktemp -d "${TMPDIR:-/tmp}/ratos-flash-mutants.XXXXXX")
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --null -T - -c --ignore-failed-read 2>/dev/null | tar -x -C "$copy"
log="$copy/log"

engine=tests/RatOS.Flash.Tests agent=tests/RatOS.Flash.Agent.Tests
failed=0

build() { dotnet build "$copy/$1" -c Release --no-restore -v quiet -nologo -p:RunAnalyzers=false -p:TreatWarningsAsErrors=false >"$log" 2>&1; }

# Project, then options of the runner.
run() { (cd "$copy/$1/bin/Release/net10.0" && shift && timeout 1200 "./$(basename "$project")" -noColor -stopOnFail "$@") >"$log" 2>&1; }

# Name, file, project and classes of the tests, text that stands there once, text in its place.
mutant() {
  local name=$1 file=$2 project=$3 old=$5 new=$6 class first classes=()
  if [ ${#only[@]} -gt 0 ]; then
    local wanted=
    for word in "${only[@]}"; do [[ $name == *$word* ]] && wanted=1; done
    [ -n "$wanted" ] || return 0
  fi
  cp "$copy/$file" "$copy/original"
  if ! OLD=$old NEW=$new python3 - "$copy/$file" <<'PY'
import os, sys
path, old, new = sys.argv[1], os.environ["OLD"], os.environ["NEW"]
text = open(path, encoding="utf-8").read()
if text.count(old) != 1:
    sys.exit(f"{path}: found {text.count(old)} times: {old}")
open(path, "w", encoding="utf-8").write(text.replace(old, new))
PY
  then
    echo "| $name | **not found in $file** |"
    failed=1
    return
  fi
  if [ -n "$find" ]; then
    cp "$copy/original" "$copy/$file"
    return
  fi
  if ! build "$project"; then
    echo "| $name | **does not build**: $(grep -m1 -o 'error .*' "$log") |"
    failed=1
  else
    for class in $4; do classes+=(-class "*.$class"); done
    run "$project" "${classes[@]}"
    grep -qE 'Total: [1-9]|\[FAIL\]' "$log" || { tail -n 5 "$log" >&2; echo "there are no tests $4" >&2; exit 1; }
    grep -q '\[FAIL\]' "$log" || run "$project"
    first=$(grep -m1 '\[FAIL\]' "$log" | sed 's/^ *//; s/ \[FAIL\].*//; s/(.*//; s/.*\.\([^.]*\.[^.]*\)$/\1/')
    [ -n "$first" ] || failed=1
    echo "| $name | ${first:-**none: it survives**} |"
  fi
  cp "$copy/original" "$copy/$file"
}

only=("$@")
[ -n "$find" ] || dotnet restore "$copy/RatOS.Flash.sln" --locked-mode -v quiet >"$log" 2>&1 || { cat "$log"; exit 1; }
echo "| safety step taken out | the first test that fails |"
echo "|---|---|"
mutant "verify: the read-back is compared" src/RatOS.Flash/Flashing/WriteProtection.cs $engine "DfuStories ProtectionStories" \
  'if (first == found.Length)' 'if (first >= 0)'
mutant "version check: the running board returns the image's dictionary" src/RatOS.Flash/Flashing/FirmwareProof.cs $engine "DfuStories" \
  'if (!client.CompressedDictionary.Span.SequenceEqual(image.CompressedDictionary.Span))' 'if (client.CompressedDictionary.IsEmpty)'
mutant "re-enumeration: the returning board is a new session" src/RatOS.Flash/Flashing/BoardBus.cs $engine "DfuStories" \
  '=> !_known.Contains((device.Port, device.Number));' '=> !_known.Contains((device.Port, device.Number)) || device.Number >= 0;'
mutant "late answers: an acknowledgement names its block" src/RatOS.Flash/Bootloaders/Katapult.cs $engine "KatapultStories" \
  '(address is null || frame.Word(1) == address)' '(address is null || frame.Word(1) == address || frame.Answers == command)'
mutant "idle check, first: the plan" src/RatOS.Flash/Flashing/FlashPlan.cs $engine "FlashPlanTests" \
  'if (printer.Blocker is { } busy)' 'if (printer.Blocker is { Code: "" } busy)'
mutant "idle check, second: before the stop" src/RatOS.Flash/Flashing/Flasher.cs $engine "RefusalStories" \
  'if (state.Blocker is { } blocker)' 'if (state.Blocker is { Code: "" } blocker)'
mutant "point of no return: no cancel from there on" src/RatOS.Flash/Flashing/BoardFlash.cs $engine "RefusalStories" \
  '_committed = true;' '_committed = false;'
mutant "first page last: USB DFU" src/RatOS.Flash/Flashing/FlashLayout.cs $engine "FlashLayoutTests" \
  'WriteOrder.FirstSectorLast => [rest, first],' 'WriteOrder.FirstSectorLast => [first, rest],'
mutant "first page last: Katapult" src/RatOS.Flash/Flashing/FlashLayout.cs $engine "FlashLayoutTests" \
  'memory.InvalidBlock(blockSize)), rest, first],' 'memory.InvalidBlock(blockSize)), first, rest],'
mutant "start: a ROM writes over no bootloader" src/RatOS.Flash/Flashing/OldFirmware.cs $engine "ProtectionStories" \
  'return BoardFaults.BootloaderInTheWay(board, start, behind);' 'continue;'
mutant "start: firmware that nothing starts is refused" src/RatOS.Flash/Flashing/OldFirmware.cs $engine "ProtectionStories" \
  'begin is null ? BootloaderFaults' 'begin is (1, true) ? BootloaderFaults'
mutant "start: nor over a bootloader whose application is half written" src/RatOS.Flash/Flashing/OldFirmware.cs $engine "ProtectionStories" \
  'return blank is { } missing ?' 'return blank is { } missing && missing == 0 ?'
mutant "start: a Klipper that starts itself is not half overwritten" src/RatOS.Flash/Flashing/OldFirmware.cs $engine "ProtectionStories" \
  'begin is (var own, true) && (own' 'begin is (var own, true) && own == 0 && (own'
mutant "requests: their size is limited" src/RatOS.Flash.Agent/Moonraker/Rpc.cs $agent "LoadStories" \
  'text.Length > LongestRequest' 'text.Length > LongestMessage'
mutant "settings: their size is limited" src/RatOS.Flash.Agent/Settings/AgentSettings.cs $agent "SettingsTests" \
  'TextFile.Read(path, Largest)' 'TextFile.Read(path, int.MaxValue)'
mutant "size: flash that is not known to be there is not written" src/RatOS.Flash/Boards/BoardProfile.cs $engine "BoardProfileTests" \
  '(FlashSize?.Value ?? mcu.SmallestFlash)' '(FlashSize?.Value ?? mcu.FlashSize)'
mutant "short block: its address comes before it, in a write" src/RatOS.Flash/Bootloaders/DfuSe.cs $engine "DfuStories" \
  'if (at == 0 || piece.Length < BlockSize)
                block = await' 'if (at == 0)
                block = await'
mutant "short block: its address comes before it, in a read" src/RatOS.Flash/Bootloaders/DfuSe.cs $engine "DfuStories" \
  'if (at == 0 || piece.Length < BlockSize)
            {' 'if (at == 0)
            {'
mutant "port: a by-path link names a controller" src/RatOS.Flash/Printer/PathEvidence.cs $engine "FieldCaseTests" \
  '(controller is null || controller == Controller' '(controller != "" || controller == Controller'
mutant "port: a remembered one is of its controller" src/RatOS.Flash/Hardware/Device.cs $engine "EarlierFlashTests ForeignDeviceTests" \
  'controller == Controller && Chain(port) == Chain(Port)' 'port == Port'
mutant "power: only the device that the user assigned" src/RatOS.Flash/Printer/BootloaderMatch.cs $engine "PrinterInventoryTests" \
  'device.Name == draft.Described?.Power' 'device.Name.Length > 0'
mutant "foreign firmware is left alone" src/RatOS.Flash/Printer/InventoryBuilder.cs $engine "FieldCaseTests" \
  '(device.Usb == UsbId.Klipper ||' '(device.Usb == UsbId.KlipperCanBridge ||'
mutant "all: a board whose need is unknown is flashed" src/RatOS.Flash.Agent/Boards/BoardSelection.cs $agent "FlashAllTests" \
  'SkipReason = needs.GetValueOrDefault(mcu.Name) is { Level: NeedLevel.Needless } need' \
  'SkipReason = needs.GetValueOrDefault(mcu.Name) is { Level: NeedLevel.Needless or NeedLevel.Unknown } need'
mutant "foreign JSON: half a surrogate pair" src/RatOS.Flash/Core/ForeignJson.cs $engine "ForeignJsonTests OddJsonStories" \
  'else if (char.IsSurrogate(code))' 'else if (code == 0)'
mutant "foreign text: hidden characters" src/RatOS.Flash/Core/PlainText.cs $engine "ForeignJsonTests" \
  'is UnicodeCategory.Control or UnicodeCategory.Format' 'is UnicodeCategory.Control'
mutant "foreign text: tags" src/RatOS.Flash.Agent/Service/ConsoleText.cs $agent "DialogStories DoorStories" \
  'return WithoutTags(PlainText.Of(line, line.Length));' 'return PlainText.Of(line, line.Length);'
mutant "names: in the order in which they were made" src/RatOS.Flash.Agent/Settings/SequenceName.cs $engine "OrderTests" \
  'before >= time.UtcDateTime.AddSeconds(-1)' 'before == DateTime.MaxValue'
mutant "definitions: limited together" src/RatOS.Flash/Boards/RatOsCatalogue.cs $engine "RatOsCatalogueTests" \
  'if (together.IsSpent)' 'if (together.IsSpent && where.Length == 0)'
mutant "definitions: no link is followed" src/RatOS.Flash/Boards/RatOsCatalogue.cs $engine "RatOsCatalogueTests" \
  'if (new DirectoryInfo(folder).LinkTarget is not null)' 'if (new DirectoryInfo(folder).LinkTarget is { Length: 0 })'
mutant "socket: its clients are limited" src/RatOS.Flash.Agent/Service/AgentSocket.cs $agent "LoadStories" \
  'if (_clients.Count < MostClients)' 'if (_clients.Count >= 0)'
mutant "closed pipe: it ends a flash before the point of no return" src/RatOS.Flash.Agent/Cli/VerbContext.cs $agent "ClosedTerminalStories" \
  'all.Add(Terminal.ReaderGone.Register(Stop));' '_ = needsReader;'
mutant "first page last: BOOTSEL" src/RatOS.Flash/Flashing/FlashLayout.cs $engine "FlashLayoutTests" \
  'WriteOrder.FirstPageLast when data.Length > memory.WriteUnit =>' 'WriteOrder.FirstPageLast when data.Length < 0 =>'
mutant "import: a start that the board denies" src/RatOS.Flash/Builds/BuildConfig.cs $engine "BuildConfigTests" \
  '&& chosen.ApplicationStart is { } address && address != start)' '&& chosen.ApplicationStart is { } address && address == 0)'
mutant "import: a link that the board does not have" src/RatOS.Flash/Builds/BuildConfig.cs $agent "ImportStories ForeignToolTests" \
  'if (isOnCan && chosen.Link is { Link: not (BuildLink.Can or BuildLink.UsbCanBridge) })' 'if (isOnCan && chosen.Link is null)'
mutant "import: a configuration of Katapult" src/RatOS.Flash/Builds/BuildConfig.cs $agent "ImportStories ForeignToolTests" \
  'symbol is "LAUNCH_APP_ADDRESS" or "BUILD_DEPLOYER"' 'symbol is "BUILD_DEPLOYER"'
mutant "import: settings of another board" src/RatOS.Flash.Agent/Migration/SettingsImport.cs $agent "ImportStories ForeignToolTests" \
  '(to is not null && !isByChip && item.Why is null &&' '(to is not null &&'
mutant "import: settings that decide what is executed" src/RatOS.Flash.Agent/Migration/SettingsImport.cs $agent "ImportStories ForeignToolTests" \
  'settings.Where(setting => Portable.Contains(setting.Key))' 'settings'
mutant "BOOTSEL: ranges are checked before they are sent" src/RatOS.Flash/Bootloaders/Picoboot.cs $engine "PicobootTests PicobootStories" \
  'if (address % unit != 0 || length % unit != 0 || length <= 0' 'if (length <= 0'
mutant "BOOTSEL: flash leaves its XIP mode" src/RatOS.Flash/Bootloaders/Picoboot.cs $engine "PicobootTests PicobootStories" \
  'await TryAsync(new(PicobootCommand.ExitXip, 0, default), default) == Outcome.Done' 'true'
mutant "BOOTSEL: the drive is locked out" src/RatOS.Flash/Bootloaders/Picoboot.cs $engine "PicobootTests PicobootStories" \
  'private const byte Exclusive = 1;' 'private const byte Exclusive = 0;'
mutant "BOOTSEL: halts are cleared after a failure" src/RatOS.Flash/Bootloaders/Picoboot.cs $engine "PicobootTests PicobootStories" \
  'await _usb.ClearHaltAsync(_interface.Out);' '_ = _interface.Out;'
mutant "BOOTSEL: a Katapult is not written over" src/RatOS.Flash/Bootloaders/Picoboot.cs $engine "PicobootTests PicobootStories" \
  'if (_hasKatapult && start == begin)' 'if (_hasKatapult && start < begin)'
mutant "BOOTSEL: no firmware for a Katapult that is not there" src/RatOS.Flash/Bootloaders/Picoboot.cs $engine "PicobootTests PicobootStories" \
  'if (!_hasKatapult && start != begin)' 'if (!_hasKatapult && start < begin)'
mutant "BOOTSEL: a partition table is left alone" src/RatOS.Flash/Bootloaders/Picoboot.cs $engine "PicobootTests PicobootStories" \
  'return (table & HasTable) != 0 ?' 'return table == uint.MaxValue ?'
mutant "BOOTSEL: a repeated beginning ends the flash" src/RatOS.Flash/Bootloaders/Picoboot.cs $engine "PicobootTests PicobootStories" \
  'if (again.AsSpan().SequenceEqual(begin.Span))' 'if (again.Length == 0)'
mutant "boot code: its checksum is right" src/RatOS.Flash/Firmware/FirmwareImage.cs $engine "RpImageTests" \
  'if (BootCode > 0 && !SecondStage.Starts(Bytes.Span))' 'if (BootCode < 0 && !SecondStage.Starts(Bytes.Span))'
mutant "boot code: it is there" src/RatOS.Flash/Firmware/FirmwareImage.cs $engine "RpImageTests" \
  'begin + BootCode != start)' 'begin + BootCode > start)'
mutant "write protection: the first sector is checked before the next is erased" src/RatOS.Flash/Flashing/WriteProtection.cs $engine "ProtectionStories" \
  'if ((index == 0 || refused is not null)' 'if ((refused is not null)'
mutant "write protection: every sector is checked before one is written" src/RatOS.Flash/Flashing/WriteProtection.cs $engine "ProtectionStories" \
  'if (IsUnchanged(after[i], i))' 'if (i < 0)'
mutant "first page: left blank under firmware that could not be written" src/RatOS.Flash/Flashing/BoardFlash.cs $engine "ProtectionStories" \
  'if (tries == Tries || !difference.Kind.Retry)' 'if (tries > Tries)'
mutant "link: firmware for another one is refused" src/RatOS.Flash/Flashing/BoardPlanner.cs $engine "LinkPlanTests LinkStories" \
  'if (built?.Differs(now) == true)' 'if (built is null)'
mutant "start: sources that differ block the board" src/RatOS.Flash/Flashing/BoardPlanner.cs $engine "ApplicationStartTests BoardProfileTests DfuStories" \
  'if (starts is { Stronger: var found, Weaker: var declared })' 'if (starts is { Stronger: var found, Weaker: var declared } && found.Value.Length == 0)'
mutant "start-up code: a strange one is refused" src/RatOS.Flash/Flashing/BoardPlanner.cs $engine "KlipperBuildTests FirmwareImageTests" \
  'else if (_request.AsksStart && image.CheckStartUp(start) is { } strange)' 'else if (image.CheckStartUp(start) is { Code: "" } strange)'
mutant "lock: another process flashes the board" src/RatOS.Flash/Hardware/Linux/BoardLock.cs $engine "BoardLockTests" \
  'Libc.LockExclusive | Libc.LockNonBlocking) < 0)' 'Libc.LockExclusive | Libc.LockNonBlocking) < -1)'
mutant "journal: an earlier flash tells of a half-written board" src/RatOS.Flash/Flashing/BoardPlan.cs $engine "EarlierFlashTests ConditionStories" \
  '{ Request.Earlier: { } earlier } => earlier.Condition,' '{ Request.Earlier: { } earlier } => earlier.Condition & 0,'
mutant "emergency stop: a futile one is undone" src/RatOS.Flash/Flashing/BootloaderEntry.cs $engine "StopStories" \
  '_stopped = klipper;' '_stopped = null;'
mutant "power cycle: never while a board has no firmware" src/RatOS.Flash/Flashing/PowerCycles.cs $engine "RecoveryStepStories" \
  'if (stranded is not null || cancel.IsCancellationRequested)' 'if (cancel.IsCancellationRequested)'
mutant "SD card: never one that this computer runs from" src/RatOS.Flash/Hardware/Linux/SdCards.cs $engine "SdCardTests" \
  '.All(other => IsPlace(other.MountPoint))' '.Any(other => IsPlace(other.MountPoint))'
mutant "SD card: the running firmware is compared" src/RatOS.Flash/Flashing/BoardFlash.cs $engine "SdCardStories" \
  'if (!client.CompressedDictionary.Span.SequenceEqual(_image.CompressedDictionary.Span)' 'if (client.CompressedDictionary.IsEmpty'
mutant "journal: each step is written ahead" src/RatOS.Flash.Agent/Jobs/Journal.cs $agent "JournalStories" \
  'if (isChange || step.Kind != FlashEventKind.Progress)' 'if (step.Kind == FlashEventKind.Verdict)'
mutant "journal: Klipper was stopped by this program" src/RatOS.Flash.Agent/Jobs/Journal.cs $agent "JournalStories" \
  'public void Append(JsonService service) => Append(service, JsonContract.Shapes.JsonService, isCritical: true);' 'public void Append(JsonService service) => _ = service;'
mutant "closed terminal: it ends no write" src/RatOS.Flash.Agent/Cli/VerbContext.cs $agent "ClosedTerminalStories" \
  'PosixSignal.SIGTERM, PosixSignal.SIGHUP,' 'PosixSignal.SIGTERM,'
mutant "full disk: the journal loses its last lines and ends nothing" src/RatOS.Flash.Agent/Jobs/Journal.cs $agent "DiskFullStories" \
  'FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0)' 'FileMode.CreateNew, FileAccess.Write, FileShare.Read)'
mutant "queue: a job ends whatever fails" src/RatOS.Flash.Agent/Jobs/FlashQueue.cs $agent "FlashQueueTests" \
  'job.End(Unfinished(job, FlashFaults.Internal(bug)));' '_ = bug;'
mutant "work: the search for a dictionary has a budget" src/RatOS.Flash/Core/WorkBudget.cs $engine "WorkBudgetTests" \
  'return !IsSpent;' 'return true;'
mutant "work: segments of an ELF do not overlap" src/RatOS.Flash/Firmware/Elf.cs $engine "WorkBudgetTests" \
  'if (segment.IsInFlash && !budget.TrySpend(segment.Size))' 'if (segment.IsInFlash && segment.Size > MaxSpan)'
mutant "bundles: a value needs a section that is known" src/RatOS.Flash.Agent/Support/ConfigRedaction.cs $engine "RedactionTests" \
  '(isKnown && IsHarmless(key, value))' 'IsHarmless(key, value)'
mutant "recordings: their memory is limited" src/RatOS.Flash.Recording/JobRecording.cs $engine "BundleTests DamagedRecordingTests" \
  '_memory = new(MostMemory);' '_memory = new(int.MaxValue);'
mutant "settings: a checkout needs a confirmation" src/RatOS.Flash.Agent/Settings/ConfirmedSettings.cs $agent "ConfirmedSettingsTests" \
  'return open.IsEmpty ? settings' 'return open.Length >= 0 ? settings'
mutant "host MCU: only the unit of this printer" src/RatOS.Flash.Agent/Moonraker/MoonrakerHostMcu.cs $agent "HostMcuStories" \
  'name == data.HostMcuUnit' 'name.StartsWith("x", StringComparison.Ordinal)'
mutant "doors: a request by way of Moonraker carries no firmware" src/RatOS.Flash.Agent/Contract/FlashArguments.cs $agent "DoorStories" \
  'if (arguments.At("bytes") is not null && !mayCarryFirmware)' 'if (arguments.At("bytes") is not null && mayCarryFirmware)'
mutant "doors: a console line needs the token of a shown button" src/RatOS.Flash.Agent/Service/PromptButtons.cs $agent "DoorStories" \
  '!Shown.TryGetValue(token, out var button)' '!Shown.TryGetValue(Shown.Keys.FirstOrDefault() ?? token, out var button)'
mutant "doors: firmware from elsewhere needs a confirmation" src/RatOS.Flash.Agent/Service/FlashQuestions.cs $agent "DoorStories" \
  'if (unconfirmed.Count == 0)' 'if (unconfirmed.Count >= 0)'
mutant "permission: the ROM's udev rule is checked before a board is sent into it" src/RatOS.Flash/Flashing/AccessCheck.cs $engine "UdevRulesTests BoardTruthTests ConditionStories" \
  'if (board is not { Entry: FlashEntry.Touch, Profile.Mcu: { } mcu })' 'if (board is not { Entry: FlashEntry.None, Profile.Mcu: { } mcu })'
mutant "identify: vectors that are none leave the start unknown" src/RatOS.Flash/Klipper/ChipInquiry.cs $engine "BoardTruthTests" \
  'return mcu.IsRamEnd(stack) && ' 'return '
mutant "identify: the answers of other firmware are out of date" src/RatOS.Flash/Printer/BoardIdentity.cs $engine "BoardIdentityTests" \
  '(constants.Count == 0 || ' '(constants.Count >= 0 || '
mutant "card: the read-back is compared" src/RatOS.Flash/Flashing/SdCardFiles.cs $engine "CardFileStories" \
  'back => back.Span.SequenceEqual(bytes)' 'back => back.Length > 0'
mutant "probe: success needs the probe back on the bus" src/RatOS.Flash/Flashing/ProbeUpdate.cs $engine "ProbeStories" \
  '_ when back is null => Failed(' '_ when back is null && exit == 1 => Failed('
mutant "bridge: its bitrate is never assumed" src/RatOS.Flash/Builds/BoardSymbols.cs $engine "BuildConfigTests" \
  'case BuildLink.UsbCanBridge when link.Rate is null:' 'case BuildLink.UsbCanBridge when link.Rate == 0:'
mutant "doors: a request by way of Moonraker answers for no board" src/RatOS.Flash.Agent/Service/AgentApi.cs $agent "AnswerStories" \
  'if (!IsOwnSocket && !await IsOfferedAsync(arguments))' 'if (data is null && !await IsOfferedAsync(arguments))'
mutant "updates: none begins beside a flash" src/RatOS.Flash.Agent/Service/FlashAgent.cs $agent "UpdateStories BeforeUpdateStories RatOsUpdateStories" \
  '["hold"] = job.State == JobState.Running' '["hold"] = job.State == JobState.Queued'
mutant "other flashers: a flash waits for them" src/RatOS.Flash.Agent/Moonraker/MoonrakerKlippy.cs $agent "RatOsUpdateStories UpdateStories" \
  'FindFlasher?.Invoke() is { } other' 'FindFlasher?.Invoke() is { } other && other.ToString().Length == 0'
mutant "firmware: another file than the expected one is refused" src/RatOS.Flash.Agent/Contract/FirmwareFile.cs $agent "FleetStories" \
  'if (sha256 is not null && sha256 != own' 'if (sha256 is { Length: 0 } && sha256 != own'
mutant "firmware: an equal version is not the same file" src/RatOS.Flash.Agent/Boards/BoardSelection.cs $agent "FleetStories FlashAllTests" \
  'firmware.RunningOf(mcu)?.Image.Sha256 == given.Sha256' 'firmware.RunningOf(mcu)?.Image.Version == given.Version'
mutant "idle: a wait ends in time" src/RatOS.Flash.Agent/Jobs/FlashQueue.cs $agent "FleetStories FlashQueueTests" \
  'CreateLinkedTokenSource(job.Cancel.Token, timer.Token)' 'CreateLinkedTokenSource(job.Cancel.Token)'
exit "$failed"
