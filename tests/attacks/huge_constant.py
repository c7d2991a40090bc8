# says: time limit
x = 1
for i in range(10 ** 9):
    x *= 3
print(x)
