using System.Text.Json.Nodes;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>The folders of a printer that Moonraker offers (moonraker: components/file_manager/file_manager.py).</summary>
internal sealed class MoonrakerFiles
{
    private const string Prefix = "/server/files/";

    private readonly VirtualMoonraker _moonraker;
    private readonly Dictionary<string, (string Path, bool IsWritable)> _roots;

    /// <summary>Missing folders are created.</summary>
    public MoonrakerFiles(VirtualMoonraker moonraker, string data)
    {
        _moonraker = moonraker;
        _roots = new(StringComparer.Ordinal)
        {
            ["config"] = (Path.GetFullPath(Path.Combine(data, "config")), true),
            ["logs"] = (Path.GetFullPath(Path.Combine(data, "logs")), false),
            ["gcodes"] = (Path.GetFullPath(Path.Combine(data, "gcodes")), true),
        };
        if (moonraker.Setup.HasComponent)
            _roots["ratos_flash"] = (Path.GetFullPath(Path.Combine(data, "ratos-flash", "firmware")), true);
        foreach (var (path, _) in _roots.Values)
            Directory.CreateDirectory(path);
    }

    public IEnumerable<string> Roots => _roots.Keys;

    public JsonNode ListRoots() => new JsonArray([.. _roots.Select(root => (JsonNode)new JsonObject
    {
        ["name"] = root.Key,
        ["path"] = root.Value.Path,
        ["permissions"] = root.Value.IsWritable ? "rw" : "r",
    })]);

    public JsonNode List(MoonrakerCall call)
    {
        var root = call.Optional("root") is null ? "gcodes" : call.Text("root");
        if (!_roots.TryGetValue(root, out var found))
            throw new MoonrakerException(400, $"Failed to build file list, invalid path: {root}: None");
        var names = Directory.EnumerateFiles(found.Path, "*", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(found.Path, file)).OrderBy(name => name.ToLowerInvariant(), StringComparer.Ordinal);
        return new JsonArray([.. names.Select(name => (JsonNode)Describe(root, name))]);
    }

    public JsonNode Delete(MoonrakerCall call) => Delete(call.Text("path"));

    /// <summary>A file, an upload or a deletion; null for any other request.</summary>
    public HttpAnswer? Serve(HttpRequest request)
    {
        if (!request.Path.StartsWith(Prefix, StringComparison.Ordinal))
            return null;
        var path = Uri.UnescapeDataString(request.Path[Prefix.Length..]);
        if (path != "upload" && (!path.Contains('/', StringComparison.Ordinal) || !_roots.ContainsKey(path.Split('/')[0])))
            return null;
        try
        {
            return (path, request.Verb) switch
            {
                ("upload", "POST") => Upload(request),
                ("upload", _) => throw new MoonrakerException(405, ""),
                (_, "GET" or "HEAD") => Download(path),
                (_, "DELETE") => HttpAnswer.Of(200, new JsonObject { ["result"] = Delete(path) }),
                _ => throw new MoonrakerException(405, ""),
            };
        }
        catch (MoonrakerException failed)
        {
            // These handlers answer with the words of the status. The cause is in the traceback.
            throw new MoonrakerException(failed.Status, HttpAnswer.Reason(failed.Status)) { Logged = failed.Message };
        }
    }

    private HttpAnswer Download(string path)
    {
        var (_, _, file) = Resolve(path, 403);
        if (!File.Exists(file))
            throw new MoonrakerException(Directory.Exists(file) ? 403 : 404, "");
        var name = Path.GetFileName(file);
        var ascii = string.Concat(name.Select(c => char.IsAscii(c) ? c : '?')).Replace("\"", "\\\"", StringComparison.Ordinal);
        return new HttpAnswer(200, File.ReadAllBytes(file), "application/octet-stream")
        {
            Headers = $"Content-Disposition: attachment; filename=\"{ascii}\"; filename*=UTF-8''{Uri.EscapeDataString(name)}\r\n",
        };
    }

    private HttpAnswer Upload(HttpRequest request)
    {
        var form = HttpForm.TryParse(request) ?? throw new MoonrakerException(500, "File Upload Parsing Failed");
        if (form.Fields.GetValueOrDefault("checksum") is { } checksum
            && !checksum.Equals(Convert.ToHexString(Sha256.HashData(form.File.Span)), StringComparison.OrdinalIgnoreCase))
            throw new MoonrakerException(422, $"File checksum mismatch: expected {checksum}");
        if (string.IsNullOrWhiteSpace(form.FileName))
            throw new MoonrakerException(400, "Multipart filename omitted");
        var wanted = form.Fields.GetValueOrDefault("root", "gcodes").ToLowerInvariant();
        if (!_roots.ContainsKey(wanted))
            throw new MoonrakerException(400, $"Root {wanted} not available");
        var folder = form.Fields.GetValueOrDefault("path", "").Trim('/');
        var (root, name, file) = Resolve(Path.Combine(wanted, folder, form.FileName.Trim().TrimStart('/')), 400);
        if (!_roots[root].IsWritable)
            throw new MoonrakerException(400, $"Invalid root request: {root}");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllBytes(file, form.File.Span);
        return HttpAnswer.Of(201, Changed("create_file", root, name)) with
        {
            Headers = $"Location: http://{request.Header("Host")}{Prefix}{root}/{Uri.EscapeDataString(name)}\r\n",
        };
    }

    private JsonObject Delete(string path)
    {
        var (root, name, file) = Resolve(path, 400);
        if (!_roots[root].IsWritable)
            throw new MoonrakerException(405, $"Path not available for DELETE: {path}");
        if (!File.Exists(file))
            throw new MoonrakerException(400, $"Invalid file path: {path}");
        File.Delete(file);
        return Changed("delete_file", root, name);
    }

    private JsonObject Changed(string action, string root, string name)
    {
        var item = Describe(root, name);
        item["root"] = root;
        var change = new JsonObject { ["action"] = action, ["item"] = item };
        _moonraker.Clients.Notify("notify_filelist_changed", change.DeepClone());
        return change;
    }

    private JsonObject Describe(string root, string name)
    {
        var file = new FileInfo(Path.Combine(_roots[root].Path, name));
        return new JsonObject
        {
            ["path"] = name,
            ["modified"] = file.Exists ? new DateTimeOffset(file.LastWriteTimeUtc).ToUnixTimeMilliseconds() / 1000.0 : 0,
            ["size"] = file.Exists ? file.Length : 0,
            ["permissions"] = !file.Exists ? "" : _roots[root].IsWritable ? "rw" : "r",
        };
    }

    /// <summary>The root, the name in it, and the path of a file.</summary>
    private (string Root, string Name, string File) Resolve(string path, int statusOutside)
    {
        var parts = path.TrimStart('/').Split('/', 2);
        if (parts.Length < 2 || !_roots.TryGetValue(parts[0], out var root))
            throw new MoonrakerException(400, $"Invalid root path ({parts[0]})");
        var file = parts[1].Contains('\0', StringComparison.Ordinal) ? "" : Path.GetFullPath(Path.Combine(root.Path, parts[1]));
        return file.StartsWith(root.Path + '/', StringComparison.Ordinal)
            ? (parts[0], Path.GetRelativePath(root.Path, file), file)
            : throw new MoonrakerException(statusOutside, $"Invalid path request, '{path}' is outside root '{parts[0]}'");
    }
}
