# says: time limit
while True:
    pass
