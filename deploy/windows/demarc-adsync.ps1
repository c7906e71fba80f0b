#Requires -Version 5.1
<#
.SYNOPSIS
    Writes the state of Entra Connect on this server as a text file for windows_exporter.
.DESCRIPTION
    Reads only: the service, the scheduler, the last runs, the state of the password synchronisation, the version and
    a handful of events. No name of a person and no object of the directory is read. What cannot be read is said with
    adsync_collector_success 0 for its section; nothing is guessed. The file appears in one piece, with LF line ends
    and times as UTC epoch seconds, whatever the locale of the server.
.PARAMETER OutputFile
    Where windows_exporter's textfile collector reads; the name must end with .prom.
.PARAMETER CertificateThumbprint
    Thumbprint of the certificate by which Entra Connect signs in, where it lies in the computer's store. Without it
    the events 1011 and 1012 tell of its end.
.NOTES
    Metric names and their meaning: docs/ad.md. Runs as the group managed service account that install-demarc-adsync.ps1
    registers; needs membership of ADSyncOperators and Event Log Readers, and to write in one folder.
#>
[CmdletBinding()]
param(
    [ValidatePattern('\.prom$')]
    [string] $OutputFile = "$env:ProgramFiles\windows_exporter\textfile_inputs\demarc_adsync.prom",
    [ValidatePattern('^([0-9A-Fa-f]{40})?$')]
    [string] $CertificateThumbprint = ''
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$invariant = [System.Globalization.CultureInfo]::InvariantCulture
$epoch = New-Object System.DateTime 1970, 1, 1, 0, 0, 0, ([System.DateTimeKind]::Utc)
# 653 and 654 password heartbeat, 655 its error, 611 a domain's error, 616 a controller's, 116 deletion threshold,
# 1011 and 1012 the certificate ends or has ended, 906 a cycle was not started.
$watchedEvents = 116, 611, 616, 655, 906, 1011, 1012
$lines = New-Object System.Collections.Generic.List[string]
$described = @{}

function ConvertTo-Epoch([datetime] $Moment) {
    # A time without a kind is UTC here: so the ADSync cmdlets give theirs.
    if ($Moment.Kind -eq [System.DateTimeKind]::Local) { $Moment = $Moment.ToUniversalTime() }
    $utc = [System.DateTime]::SpecifyKind($Moment, [System.DateTimeKind]::Utc)
    return [Math]::Floor(($utc - $epoch).TotalSeconds)
}

function ConvertTo-Label([string] $Text) {
    return $Text.Replace('\', '\\').Replace('"', '\"').Replace("`r", ' ').Replace("`n", ' ')
}

function Add-Sample([string] $Name, [string] $Help, [double] $Value, [System.Collections.IDictionary] $Labels = @{}) {
    if (-not $described.ContainsKey($Name)) {
        $described[$Name] = $true
        $lines.Add("# HELP $Name $Help")
        $lines.Add("# TYPE $Name gauge")
    }
    $pairs = foreach ($key in $Labels.Keys) { '{0}="{1}"' -f $key, (ConvertTo-Label $Labels[$key]) }
    $braces = if ($pairs) { '{' + ($pairs -join ',') + '}' } else { '' }
    $lines.Add($Name + $braces + ' ' + $Value.ToString('R', $invariant))
}

$sections = [ordered] @{}

function Read-Section([string] $Section, [scriptblock] $Read) {
    # One section that cannot be read leaves the others as they are, and leaves no half of itself.
    $before = $lines.Count
    try {
        & $Read
        $sections[$Section] = 1
    }
    catch {
        $lines.RemoveRange($before, $lines.Count - $before)
        $sections[$Section] = 0
        Write-Warning "$Section could not be read: $($_.Exception.Message)"
    }
}

Read-Section 'service' {
    # The service manager answers interactive users and administrators; a task's account it may refuse. Then the
    # service's process (miiserver.exe) says as much: the names of processes are there for everybody.
    try { $running = (Get-Service -Name 'ADSync').Status -eq 'Running' }
    catch { $running = [bool] (Get-Process -Name 'miiserver' -ErrorAction SilentlyContinue) }
    Add-Sample 'adsync_service_running' '1 if the service ADSync runs.' ([int] $running)
}

Read-Section 'version' {
    $image = (Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Services\ADSync').ImagePath
    $path = ($image -replace '^"([^"]+)".*$', '$1')
    $version = [System.Diagnostics.FileVersionInfo]::GetVersionInfo($path).FileVersion
    Add-Sample 'adsync_version_info' 'Version of Entra Connect.' 1 @{ version = ($version -split ' ')[0] }
}

Read-Section 'module' { Import-Module ADSync }

Read-Section 'scheduler' {
    $scheduler = Get-ADSyncScheduler
    Add-Sample 'adsync_sync_cycle_enabled' '1 if the scheduler is enabled.' ([int][bool] $scheduler.SyncCycleEnabled)
    Add-Sample 'adsync_scheduler_suspended' '1 if it is suspended, as by an open wizard.' `
        ([int][bool] $scheduler.SchedulerSuspended)
    Add-Sample 'adsync_staging_mode' '1 if the server is in staging mode.' ([int][bool] $scheduler.StagingModeEnabled)
    Add-Sample 'adsync_sync_cycle_in_progress' '1 if a cycle runs now.' ([int][bool] $scheduler.SyncCycleInProgress)
    Add-Sample 'adsync_cycle_interval_seconds' 'The interval in force.' `
        $scheduler.CurrentlyEffectiveSyncCycleInterval.TotalSeconds
    if ($scheduler.NextSyncCycleStartTimeInUTC) {
        $next = [System.DateTime]::SpecifyKind($scheduler.NextSyncCycleStartTimeInUTC, [System.DateTimeKind]::Utc)
        Add-Sample 'adsync_next_cycle_timestamp_seconds' 'When the next cycle starts.' (ConvertTo-Epoch $next)
    }
}

$connectors = @{}
Read-Section 'connectors' {
    foreach ($connector in Get-ADSyncConnector) {
        $type = switch -Wildcard ("$($connector.ConnectorTypeName) $($connector.Subtype)") {
            'AD *' { 'ad'; break }
            '*Windows Azure Active Directory*' { 'entra'; break }
            '*Microsoft Entra ID*' { 'entra'; break }
            default { 'other' }
        }
        $connectors["$($connector.Identifier)"] = @{ connector = $connector.Name; type = $type }
    }
}

Read-Section 'runs' {
    # Newest first; the last run of each profile, and when it last ended well.
    $runs = @(Get-ADSyncRunProfileResult -NumberRequested 200 | Where-Object { $_.IsRunComplete -and $_.EndDate } |
        Sort-Object -Property EndDate -Descending)
    $groups = $runs | Group-Object -Property 'ConnectorId', 'RunProfileName'
    $last = @{}
    foreach ($group in $groups) {
        $newest = $group.Group[0]
        $known = $connectors["$($newest.ConnectorId)"]
        $labels = [ordered] @{
            connector = $newest.ConnectorName
            type      = if ($known) { $known.type } else { 'other' }
            profile   = $newest.RunProfileName
        }
        $last[$group.Name] = @{ Labels = $labels; Newest = $newest; Good = $group.Group |
                Where-Object { $_.Result -like 'success*' -or $_.Result -like 'completed-*' } |
                Select-Object -First 1 }
    }
    foreach ($entry in $last.Values) {
        $labels = [ordered] @{}
        foreach ($key in $entry.Labels.Keys) { $labels[$key] = $entry.Labels[$key] }
        $labels['result'] = "$($entry.Newest.Result)"
        Add-Sample 'adsync_last_run_end_timestamp_seconds' 'When the last run of a profile ended, and how.' `
            (ConvertTo-Epoch $entry.Newest.EndDate) $labels
    }
    foreach ($entry in $last.Values | Where-Object { $_.Good }) {
        Add-Sample 'adsync_last_success_timestamp_seconds' 'When a run of a profile last ended well.' `
            (ConvertTo-Epoch $entry.Good.EndDate) $entry.Labels
    }
}

Read-Section 'passwords' {
    # When the domain of each connector that lags the most was last done; the connector "default" is none.
    $states = @(Get-ADSyncPartitionPasswordSyncState | Where-Object { $_.DN -notlike 'default' })
    foreach ($group in $states | Group-Object -Property ConnectorId) {
        $ends = @($group.Group | ForEach-Object { $_.PasswordSyncLastSuccessfulCycleEndTimestamp } |
            Where-Object { $_ -and $_.Year -gt 1970 } | Sort-Object)
        $known = $connectors["$($group.Name)"]
        $name = if ($known) { $known.connector } else { $group.Name }
        if ($ends.Count) {
            Add-Sample 'adsync_phs_heartbeat_timestamp_seconds' 'When passwords were last synchronised.' `
                (ConvertTo-Epoch $ends[0]) @{ connector = $name }
        }
    }
}

Read-Section 'events' {
    $since = (Get-Date).AddDays(-8)
    $events = @()
    $providers = 0
    foreach ($provider in 'Directory Synchronization', 'ADSync') {
        $filter = @{ LogName = 'Application'; ProviderName = $provider; Id = $watchedEvents; StartTime = $since }
        try {
            $events += @(Get-WinEvent -FilterHashtable $filter -MaxEvents 500)
            $providers++
        }
        catch {
            # That there are no such events is an answer; that a version has only one of the providers is none to wait
            # for; a log that cannot be read is a failure.
            switch -Wildcard ($_.FullyQualifiedErrorId) {
                'NoMatchingEventsFound*' { $providers++ }
                'NoMatchingProvidersFound*' { }
                default { throw }
            }
        }
    }
    if (-not $providers) { throw 'no provider of events of Entra Connect is known here' }
    foreach ($group in $events | Group-Object -Property Id) {
        $newest = ($group.Group | Sort-Object -Property TimeCreated -Descending)[0]
        Add-Sample 'adsync_event_timestamp_seconds' 'When an event was last written, of the last eight days.' `
            (ConvertTo-Epoch $newest.TimeCreated) @{ id = "$($newest.Id)" }
    }
}

if ($CertificateThumbprint) {
    Read-Section 'certificate' {
        $certificate = Get-Item "Cert:\LocalMachine\My\$CertificateThumbprint"
        Add-Sample 'adsync_certificate_expiry_timestamp_seconds' 'When the certificate of the synchronisation ends.' `
            (ConvertTo-Epoch $certificate.NotAfter)
    }
}

foreach ($section in $sections.Keys) {
    Add-Sample 'adsync_collector_success' '1 if a section could be read.' $sections[$section] @{ section = $section }
}
Add-Sample 'adsync_collector_timestamp_seconds' 'When all this was read.' `
    (ConvertTo-Epoch ([System.DateTime]::UtcNow))

# Written beside and moved over: a reader finds the old file or the new one. The exporter reads *.prom only.
$part = "$OutputFile.part"
$utf8 = New-Object System.Text.UTF8Encoding $false
[System.IO.File]::WriteAllText($part, (($lines -join "`n") + "`n"), $utf8)
if (Test-Path -LiteralPath $OutputFile) {
    # Rights that cannot be carried over from a file of somebody else's (a run by hand) are no reason to stop.
    [System.IO.File]::Replace($part, $OutputFile, [NullString]::Value, $true)
}
else {
    [System.IO.File]::Move($part, $OutputFile)
}
