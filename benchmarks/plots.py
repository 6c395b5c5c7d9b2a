def draw(done, folder):
    pass
