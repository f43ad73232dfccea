# Evaluates Klipper's build options with Klipper's own kconfiglib and prints what its menu would show, as JSON.
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# It runs in Klipper's folder, as make does there, and writes one file: the configuration that it was given. A request comes by
# stdin: `config`, the path of that file, and `set`, pairs of a symbol and its wanted value. Values are well-formed for a .config
# already. They are all assigned before any is judged: what one allows may have been assigned after it.
import json
import os
import re
import resource
import sys

MAX_MEMORY = 512 << 20
MAX_CPU_SECONDS = 30
MAX_FILE = 4 << 20
INTEGER = re.compile(r"-?[0-9]{1,18}")
HEX = re.compile(r"(0[xX])?[0-9a-fA-F]{1,16}")


def limit(what, most):
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))


def is_visible(node):
    # As menuconfig.py, _visible().
    return bool(node.prompt and kconfiglib.expr_value(node.prompt[1])
                and not (node.item == kconfiglib.MENU and not kconfiglib.expr_value(node.visibility)))


def shown(node):
    """What the menu shows from this node on, in its order (menuconfig.py, _shown_nodes)."""
    made = []
    while node:
        if is_visible(node):
            made += entry(node)
        elif isinstance(node.item, kconfiglib.Symbol) and node.list:
            made += shown(node.list)
        node = node.next
    return made


def entry(node):
    item = node.item
    made = {"prompt": node.prompt[0], "assignable": False}
    if getattr(node, "help", None):
        made["help"] = node.help
    if isinstance(item, kconfiglib.Choice):
        options = [option for symbol in item.syms for option in symbol.nodes if option.parent.item is item and is_visible(option)]
        below = [child for option in options if option.list for child in shown(option.list)]
        made.update(kind="choice", assignable=len(options) > 1, options=[
            {"name": option.item.name, "prompt": option.prompt[0], "help": option.help} for option in options])
        if item.name:
            made["name"] = item.name
        if item.selection:
            made["value"] = item.selection.name
    else:
        below = shown(node.list) if node.list else []
        if isinstance(item, kconfiglib.Symbol):
            made.update(kind=kind(item), name=item.name, value=item.str_value, assignable=is_free(item))
            bounds = bounds_of(item)
            if bounds:
                made["range"] = bounds
        elif item == kconfiglib.MENU:
            made["kind"] = "menu"
            if not below:
                return []
        else:
            made["kind"] = "comment"
    if below:
        made["nodes"] = below
    return [made]


def kind(symbol):
    # Without `modules`, which Klipper does not have, a tristate is a bool.
    name = kconfiglib.TYPE_TO_STR[symbol.type]
    return name if name in ("int", "hex", "string") else "bool"


def is_free(symbol):
    return kind(symbol) != "bool" or len(symbol.assignable) > 1


def bounds_of(symbol):
    for low, high, condition in symbol.ranges:
        if kconfiglib.expr_value(condition):
            return [low.str_value, high.str_value]
    return None


def assign(kconf, name, value):
    """Assigns a value; the one that counts then, or None if there can be none."""
    symbol = kconf.syms.get(name)
    if symbol is None or not symbol.nodes:
        return None
    if kind(symbol) == "hex" and not value.lower().startswith("0x"):
        value = "0x" + value   # as menuconfig.py does
    form = {"bool": re.compile("[yn]"), "int": INTEGER, "hex": HEX}.get(kind(symbol))
    return value if (form is None or form.fullmatch(value)) and symbol.set_value(value) else None


def why_not(kconf, name, value):
    """Why an assignment did not take, None if it did. `value` is what assign() returned."""
    symbol = kconf.syms.get(name)
    if symbol is None or not symbol.nodes:
        return "this Klipper has no such option"
    if value is None:
        return {"bool": "it is neither y nor n", "int": "it is not a number", "hex": "it is not a hexadecimal number"}[kind(symbol)]
    if not any(is_visible(node) for node in symbol.nodes):
        return "the menu does not offer it with the other options as they are"
    if same(symbol, value):
        return None
    bounds = bounds_of(symbol)
    return "it is not within {} to {}".format(*bounds) if bounds else "the other options make it " + symbol.str_value


def same(symbol, value):
    base = {"int": 10, "hex": 16}.get(kind(symbol))
    return symbol.str_value == value or bool(base and symbol.str_value and int(symbol.str_value, base) == int(value, base))


def changed(nodes, before):
    """Names of what is shown and differs, of a choice the option that is chosen now."""
    for node in nodes:
        if node["kind"] == "choice":
            if node.get("value") and before.get(node["value"]) != "y":
                yield node["value"]
        elif "value" in node and before.get(node["name"]) != node["value"]:
            yield node["name"]
        yield from changed(node.get("nodes", []), before)


def answer(request):
    kconf = kconfiglib.Kconfig("src/Kconfig", warn=False)
    kconf.load_config(request["config"])
    before = {symbol.name: symbol.str_value for symbol in kconf.unique_defined_syms}
    wanted = [(name, given, assign(kconf, name, given)) for name, given in request["set"]]
    refused = [{"name": name, "value": given, "reason": reason}
               for name, given, value in wanted for reason in [why_not(kconf, name, value)] if reason]
    nodes = shown(kconf.top_node.list)
    kconf.write_config(request["config"], save_old=False)
    return {"nodes": nodes, "changed": list(changed(nodes, before)), "refused": refused}


for what, most in ((resource.RLIMIT_AS, MAX_MEMORY), (resource.RLIMIT_CPU, MAX_CPU_SECONDS), (resource.RLIMIT_FSIZE, MAX_FILE)):
    limit(what, most)
sys.path.insert(0, os.path.join(os.getcwd(), "lib", "kconfiglib"))
import kconfiglib  # noqa: E402

try:
    print(json.dumps(answer(json.load(sys.stdin))))
except kconfiglib.KconfigError as fault:
    sys.exit(" ".join(str(fault).split()))
