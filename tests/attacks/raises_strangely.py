# says: Strange|cannot be printed
# function: solve
class Strange(BaseException):
    def __str__(self):
        raise Strange()
    __repr__ = __str__
class Solution:
    def solve(self, text):
        raise Strange()
