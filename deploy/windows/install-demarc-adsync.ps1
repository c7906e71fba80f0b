#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
    Installs demarc's collector for Entra Connect as a scheduled task, with as few rights as it needs.
.DESCRIPTION
    Copies demarc-adsync.ps1 to a folder that only administrators can change, lets a group managed service account (gMSA)
    read the synchronisation's state and the event log and write one folder, and registers a task that runs every five
    minutes. Run again, it brings everything to the same state. -Uninstall takes task and files away again, and the
    account out of the groups. Nothing of Entra Connect itself is changed.
.PARAMETER ServiceAccount
    The gMSA, as CORP\demarc-adsync$. It must be installed on this server: Install-ADServiceAccount, Test-ADServiceAccount.
.PARAMETER TextfileFolder
    The folder that windows_exporter's textfile collector reads.
.PARAMETER CertificateThumbprint
    See demarc-adsync.ps1.
.EXAMPLE
    .\install-demarc-adsync.ps1 -ServiceAccount 'CORP\demarc-adsync$'
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)]
    [ValidatePattern('^[^\\]+\\[^\\]+\$$')]
    [string] $ServiceAccount,
    [string] $TextfileFolder = "$env:ProgramFiles\windows_exporter\textfile_inputs",
    [ValidatePattern('^([0-9A-Fa-f]{40})?$')]
    [string] $CertificateThumbprint = '',
    [switch] $Uninstall
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$taskName = 'demarc-adsync'
$folder = Join-Path $env:ProgramFiles 'demarc'
$collector = Join-Path $folder 'demarc-adsync.ps1'
$output = Join-Path $TextfileFolder 'demarc_adsync.prom'
# S-1-5-32-573 is Event Log Readers in every language. ADSyncOperators may see the runs; on a domain controller the
# ADSync groups are the domain's, elsewhere the server's own.
$groups = @(
    @{ SID = 'S-1-5-32-573' }
    @{ Name = 'ADSyncOperators' }
    @{ Name = 'ADSyncBrowse' }
)

if ($Uninstall) {
    if ($PSCmdlet.ShouldProcess($taskName, 'remove')) {
        Get-ScheduledTask -TaskName $taskName -ErrorAction SilentlyContinue | Unregister-ScheduledTask -Confirm:$false
        Remove-Item -LiteralPath $collector, $output, "$output.part" -Force -ErrorAction SilentlyContinue
        foreach ($group in $groups) {
            Remove-LocalGroupMember @group -Member $ServiceAccount -ErrorAction SilentlyContinue
        }
    }
    return
}

if (-not (Get-Service -Name 'ADSync' -ErrorAction SilentlyContinue)) {
    throw 'There is no service ADSync here: run this on the Entra Connect server.'
}
if (-not (Test-Path -LiteralPath $TextfileFolder -PathType Container)) {
    throw "There is no folder $TextfileFolder. Install windows_exporter with its textfile collector first."
}

function Set-Access([string] $Path, [string] $Rights) {
    # Administrators and the system change it, the account has $Rights; nothing is inherited.
    $access = New-Object System.Security.AccessControl.DirectorySecurity
    $access.SetAccessRuleProtection($true, $false)
    $inherit = [System.Security.AccessControl.InheritanceFlags] 'ContainerInherit, ObjectInherit'
    foreach ($rule in @(
            @('S-1-5-32-544', 'FullControl'), @('S-1-5-18', 'FullControl'), @($ServiceAccount, $Rights))) {
        $who = if ($rule[0] -like 'S-1-*') { New-Object System.Security.Principal.SecurityIdentifier $rule[0] } else {
            New-Object System.Security.Principal.NTAccount $rule[0]
        }
        $access.AddAccessRule((New-Object System.Security.AccessControl.FileSystemAccessRule `
                    $who, $rule[1], $inherit, 'None', 'Allow'))
    }
    Set-Acl -LiteralPath $Path -AclObject $access
}

if ($PSCmdlet.ShouldProcess($folder, 'install the collector')) {
    New-Item -ItemType Directory -Path $folder -Force | Out-Null
    Copy-Item -LiteralPath (Join-Path $PSScriptRoot 'demarc-adsync.ps1') -Destination $collector -Force
    Set-Access $folder 'ReadAndExecute'
}

if ($PSCmdlet.ShouldProcess($TextfileFolder, "let $ServiceAccount write")) {
    # Added to what the exporter's installer has set: the exporter must go on reading.
    $access = Get-Acl -LiteralPath $TextfileFolder
    $inherit = [System.Security.AccessControl.InheritanceFlags] 'ContainerInherit, ObjectInherit'
    $access.AddAccessRule((New-Object System.Security.AccessControl.FileSystemAccessRule `
                $ServiceAccount, 'Modify', $inherit, 'None', 'Allow'))
    Set-Acl -LiteralPath $TextfileFolder -AclObject $access
}

foreach ($group in $groups) {
    if ($PSCmdlet.ShouldProcess("$($group.Values)", "add $ServiceAccount")) {
        try { Add-LocalGroupMember @group -Member $ServiceAccount }
        catch [Microsoft.PowerShell.Commands.MemberExistsException] { Write-Verbose "$($group.Values): is a member." }
    }
}

if ($PSCmdlet.ShouldProcess($taskName, 'register the task')) {
    $arguments = "-NoProfile -NonInteractive -ExecutionPolicy AllSigned -File `"$collector`" -OutputFile `"$output`""
    if ((Get-AuthenticodeSignature -LiteralPath $collector).Status -ne 'Valid') {
        # Not signed by you: the folder's access list is what protects it.
        $arguments = $arguments.Replace('AllSigned', 'Bypass')
    }
    if ($CertificateThumbprint) { $arguments += " -CertificateThumbprint $CertificateThumbprint" }
    $powershell = Join-Path $env:SystemRoot 'System32\WindowsPowerShell\v1.0\powershell.exe'
    $task = @{
        TaskName    = $taskName
        Description = 'Writes the state of Entra Connect for windows_exporter (demarc). Reads only.'
        Action      = New-ScheduledTaskAction -Execute $powershell -Argument $arguments
        Trigger     = New-ScheduledTaskTrigger -Once -At (Get-Date).Date -RepetitionInterval (New-TimeSpan -Minutes 5)
        Principal   = New-ScheduledTaskPrincipal -UserId $ServiceAccount -LogonType Password -RunLevel Limited
        Settings    = New-ScheduledTaskSettingsSet -StartWhenAvailable -MultipleInstances IgnoreNew `
            -ExecutionTimeLimit (New-TimeSpan -Minutes 4)
    }
    Register-ScheduledTask @task -Force | Out-Null
    Start-ScheduledTask -TaskName $taskName
    Write-Output "Installed. In a minute $output should be there; if not: Get-ScheduledTaskInfo -TaskName $taskName"
}
