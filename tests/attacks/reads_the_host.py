# says: line 1 is "\['dev', 'etc', 'lib', 'lib64', 'tmp', 'usr'\] \['alternatives', 'ld\.so\.cache'\] \[\]"
import posix
print(sorted(posix.listdir("/")), sorted(posix.listdir("/etc")), posix.listdir("/tmp"))
