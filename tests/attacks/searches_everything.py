# says: searched 0
import posix
def run():
    stack, found = ["/tmp", "/etc", "/dev"], 0
    while stack:
        for entry in posix.scandir(stack.pop()):
            if entry.is_dir(follow_symlinks=False):
                stack.append(entry.path)
            elif entry.name.endswith((".db", ".sqlite", "token", "hyperscale-secret")):
                found += 1
    print("searched", found)
run()
