from personas.demo.art.figure import *

def backdrop(name, *stops):
    return fade(name, *stops), rect(-20,-20,808,1064,f"url(#{name})")

def shoulders(fill, *, top=742, spread=330, slope=0):
    l, r = 384-spread, 384+spread
    return path(f"M{l-20} 1050 C{l-8} 900 {l+70} {top+62+slope} 282 {top-6} L486 {top-6} C{r-70} {top+62+slope} {r+8} 900 {r+20} 1050Z", fill)

def maren():
    f=Face(ROSY, "#6d4a33", iris="#3f6472", age=1, smile=9, brow=2, freckles=True, jaw=2, turn=-6)
    d,bg=backdrop("sky",(0,"#141d38",1),(.45,"#2f3d66",1),(.72,"#b7694f",1),(1,"#e8a468",1))
    d+=fade("beam",(0,"#ffe6ab",.0),(.5,"#ffe6ab",.0),(1,"#ffe9b8",.75),down=False)+glow("lampglow",(0,"#fff3cf",1),(.3,"#ffdf98",.7),(1,"#ffcf80",0))
    scene=group(
        path("M620 236 L-60 60 L-60 330Z","url(#beam)"),
        circle(628,236,120,"url(#lampglow)"),
        path("M592 700 L604 276 L652 276 L664 700Z","#efe3d2"), path("M598 500 L600 420 L656 420 L658 500Z","#a8412f"), path("M602 350 L603 290 L653 290 L654 350Z","#a8412f"),
        rect(598,258,60,18,"#2a2431"), rect(608,214,40,46,"#ffeec2"), path("M600 216 C606 186 650 186 656 216Z","#2a2431"),
        path("M-20 690 C160 672 300 700 470 684 S 720 690 800 676 L800 1050 L-20 1050Z","#2b4a63"),
        path("M-20 740 C120 726 240 752 420 734 S 700 742 800 728 L800 1050 L-20 1050Z","#21394f"),
        path("M520 700 C560 672 720 668 800 690 L800 760 L520 730Z","#1d2233"),
        *[circle(x,y,r,"#fff3d8",opacity=.8) for x,y,r in ((70,90,2.5),(150,40,2),(240,110,3),(420,60,2.5),(500,130,2),(720,80,2.5),(330,30,2),(90,330,2))],
    )
    hair="#7a5339"; grey="#c9bfae"
    back=at(372,432,path("M-150 -60 C-170 -190 -90 -250 0 -248 C100 -250 168 -180 150 -50 C160 20 150 70 128 100 L-130 100 C-156 60 -152 0 -150 -60Z",hair),
        path("M40 -246 C20 -320 150 -330 146 -262 C144 -226 80 -214 40 -246Z","#6b472f"),turn=-3,scale=1.16)
    body=group(
        at(372,432,neck(f.skin),scale=1.16),
        shoulders("#d9a128"),
        path("M268 744 C300 690 330 676 384 700 C440 676 474 690 500 744 C470 830 300 830 268 744Z","#2f3f5c"),
        path("M272 728 C300 784 470 784 498 728 L510 770 C470 830 300 832 260 770Z","#3a4d6e"),
        *[stroke(f"M{x} 752 q6 20 2 46","#283650",4) for x in range(292,490,22)],
        path("M250 752 C300 860 340 930 372 1050 L160 1050 C170 900 200 800 250 752Z","#e6b23a"),
        path("M516 752 C470 860 420 930 396 1050 L620 1050 C610 900 570 800 516 752Z","#c48d1c"),
        stroke("M384 850 L384 1050","#8f6612",6), circle(408,910,10,"#4a3a1e"), circle(408,990,10,"#4a3a1e"),
    )
    front=at(372,432,
        path("M-134 -10 C-150 -120 -120 -214 0 -222 C118 -216 150 -130 136 -14 C128 -80 104 -128 40 -158 C20 -120 -60 -96 -112 -92 C-124 -70 -128 -40 -134 -10Z",hair),
        path("M40 -158 C20 -120 -60 -96 -112 -92 C-100 -150 -40 -196 30 -206Z","#8f6546"),
        stroke("M34 -204 C-30 -192 -84 -150 -104 -104 M48 -200 C0 -160 -50 -120 -96 -100",grey,6,opacity=.85),
        stroke("M52 -196 C100 -170 124 -120 130 -70",grey,6,opacity=.8),
        stroke("M-132 -20 C-150 30 -142 60 -156 92 M134 -20 C150 20 142 50 160 66",hair,9),
        turn=-3,scale=1.16)
    return sheet(bg,scene,back,body,at(372,432,head(f,"m",side=1),turn=-3,scale=1.16),front,defs=d,side=1,light="#ffdb96")

def teodora():
    f=Face(OLIVE,"#2a1a14",iris="#4a2f1a",turn=6,smile=4,brow=4,nose=1.1,lips=1.1)
    d,bg=backdrop("gold",(0,"#b9822a",1),(.5,"#e0b251",1),(1,"#a86e24",1))
    import random
    rnd=random.Random(5); tiles=[]
    cols=["#e8c067","#d7a544","#f2d58a","#c08a30","#b57a28","#eac873"]
    for row in range(0,52):
        for col in range(0,40):
            x=col*20-10+(row%2)*10+rnd.uniform(-2,2); y=row*20-6+rnd.uniform(-2,2)
            tiles.append(rect(round(x,1),round(y,1),17,17,rnd.choice(cols),transform=f"rotate({round(rnd.uniform(-9,9),1)} {round(x+8,1)} {round(y+8,1)})"))
    import math
    ring=[]
    for r,n,c in ((318,86,("#a83a2c","#8f2c24")),(296,80,("#f6e7c0","#e9d3a0")),(274,74,("#24557a","#1c4464"))):
        for i in range(n):
            a=i/n*math.tau; x=384+r*math.cos(a); y=400+r*math.sin(a)
            ring.append(rect(round(x-9,1),round(y-9,1),18,18,rnd.choice(c),transform=f"rotate({round(math.degrees(a))} {round(x,1)} {round(y,1)})"))
    scene=group(*tiles,*ring)
    veil="#7b2436"
    back=at(384,430,path("M-168 240 C-190 60 -186 -120 -120 -210 C-70 -270 70 -270 122 -208 C188 -120 190 60 170 240Z",veil),path("M-150 240 C-170 60 -160 -100 -110 -180 L-120 240Z","#5f1828"),scale=1.18)
    body=group(at(384,430,neck(f.skin,58),scale=1.18),shoulders("#6d1f31",spread=318),
        path("M270 740 C300 800 340 826 384 828 C430 826 470 800 500 740 C540 760 560 790 566 820 C500 900 440 920 384 920 C320 920 260 900 204 820 C214 790 236 758 270 740Z","#d9a642"),
        *[circle(x,y,13,c) for x,y,c in ((250,808,"#2e6a8e"),(290,850,"#f3ead6"),(336,876,"#a8382c"),(384,884,"#2e8a6a"),(432,876,"#a8382c"),(478,850,"#f3ead6"),(518,808,"#2e6a8e"))],
        stroke("M214 830 C270 900 330 916 384 916 C440 916 500 900 556 830","#8a5c18",6), stroke("M268 752 C300 806 340 830 384 832 C430 830 470 806 500 752","#8a5c18",6),
        path("M150 1050 C180 960 220 900 250 880 L300 1050Z","#571525"), path("M620 1050 C590 960 550 900 520 880 L470 1050Z","#571525"))
    front=at(384,430,
        path("M-136 30 C-150 -110 -110 -206 0 -210 C112 -206 150 -110 136 30 C130 -60 104 -130 2 -150 C-100 -130 -130 -60 -136 30Z","#2a1a14"),
        path("M-156 60 C-176 -120 -120 -240 0 -244 C122 -240 176 -120 156 60 C152 -80 110 -176 0 -186 C-110 -176 -150 -80 -156 60Z",veil),
        path("M-140 -96 C-96 -176 96 -176 140 -96 L132 -66 C92 -140 -92 -140 -132 -66Z","#d9a642"),
        *[circle(x,y,11,c) for x,y,c in ((-104,-108,"#f3ead6"),(-56,-136,"#2e6a8e"),(0,-146,"#a8382c"),(56,-136,"#2e6a8e"),(104,-108,"#f3ead6"))],
        mirrored(stroke("M138 20 L142 150","#d9a642",4),circle(140,60,8,"#f6efe0"),circle(141,96,8,"#f6efe0"),circle(142,134,10,"#2e8a6a")),
        scale=1.18)
    return sheet(bg,scene,back,body,at(384,430,head(f,"t",ears=False),scale=1.18),front,defs=d,light="#fff0c0",dark="#3a1408")

def juno():
    f=Face(GOLDEN,"#1f1b22",iris="#5a4a2a",turn=8,smile=6,brow=3,freckles=True,jaw=-2,brow_weight=11,tilt=-2)
    d,bg=backdrop("space",(0,"#0c1030",1),(.6,"#2b1c4e",1),(1,"#5b2a5c",1))
    d+=fade("planet",(0,"#f4b36a",1),(.5,"#d9704e",1),(1,"#7a2f4e",1))
    scene=group(*[circle(x,y,r,"#fff",opacity=o) for x,y,r,o in ((60,70,2,.9),(130,200,2.5,.7),(210,60,1.8,.8),(300,130,2,.6),(90,420,2,.7),(40,560,2.4,.8),(700,520,2,.8),(740,300,2,.6),(660,60,2.4,.9),(420,40,2,.8),(180,330,1.6,.8),(720,640,1.8,.7),(30,290,1.8,.6))],
        circle(600,210,170,"url(#planet)"), path("M440 250 C520 230 690 180 760 150 L762 190 C700 220 520 270 446 284Z","#f8cf94",opacity=.5), path("M436 190 C520 170 650 130 726 96 C700 70 690 64 680 58 C600 100 480 140 440 150Z","#a8404e",opacity=.4),
        stroke("M350 330 C440 330 720 230 850 110","#f8dfb8",9,opacity=.85), stroke("M366 352 C470 350 730 250 860 140","#f8dfb8",4,opacity=.6))
    hair="#26222c"
    back=at(384,436,path("M-136 60 C-150 -40 -146 -160 -90 -210 L100 -210 C150 -160 146 -20 130 70 C110 90 -120 90 -136 60Z",hair),scale=1.18)
    body=group(at(384,436,neck(f.skin),scale=1.18),shoulders("#d9622b"),
        path("M262 744 C250 700 270 672 300 660 C320 740 450 740 470 660 C500 672 520 700 508 744 C470 800 300 800 262 744Z","#f0e5d4"),
        path("M276 730 C300 784 470 784 494 730 L500 752 C470 806 300 806 268 752Z","#c9bba6"),
        path("M120 1050 L250 776 C300 830 340 850 372 860 L372 1050Z","#e87637"), path("M648 1050 L518 776 C470 830 430 850 396 860 L396 1050Z","#b84e20"),
        stroke("M384 852 L384 1050","#6d2c14",10), rect(196,900,100,64,"#2b2140",rx=6), circle(228,932,18,"#f2c24e"), stroke("M250 920 h30 M250 934 h30 M250 948 h20","#f0e5d4",4),
        path("M560 800 L640 850 L630 880 L548 826Z","#f2c24e"))
    front=at(384,436,
        path("M130 20 C142 -90 120 -150 80 -176 C96 -120 110 -60 130 20Z","#3a3542"),
        path("M-132 -20 C-150 -120 -120 -226 -10 -238 C90 -250 150 -190 146 -120 C120 -160 90 -168 60 -164 C20 -110 -50 -84 -118 -80 C-126 -60 -130 -40 -132 -20Z",hair),
        path("M146 -120 C150 -190 90 -250 -10 -238 C-60 -232 -100 -200 -118 -150 C-60 -200 40 -214 146 -120Z","#3f3948"),
        path("M-118 -80 C-50 -84 20 -110 60 -164 C20 -150 -60 -130 -122 -96Z","#443d50"),
        stroke("M-136 -30 C-140 10 -136 30 -132 50",hair,10),
        circle(132,44,7,"#f2c24e"),stroke("M-98 -70 L-70 -46","#c98a6a",5),
        scale=1.18)
    return sheet(bg,scene,back,body,at(384,436,head(f,"j",side=1),scale=1.18),front,defs=d,side=1,light="#ffb98a",dark="#0a0520")

def ptolemy():
    d,bg=backdrop("lib",(0,"#1f1510",1),(.5,"#4a2d1c",1),(1,"#6d4223",1))
    d+=fade("owlface",(0,"#fff4df",1),(1,"#ecd2a6",1))+fade("wing",(0,"#b9814a",1),(1,"#7d4f2a",1))
    import random
    r=random.Random(3); books=[]
    cols=["#7b2b26","#2f4a45","#a8762c","#3a3358","#84502c","#5a2a3a","#c9a45c","#22384c"]
    for shelf in (190,400,610,820):
        x=-10
        while x<790:
            w=r.randint(20,44); h=r.randint(120,176); c=r.choice(cols)
            books.append(rect(x,shelf-h,w,h,c)); books.append(rect(x+3,shelf-h+22,w-6,5,"#e6c78a",opacity=.6)); books.append(rect(x+3,shelf-34,w-6,4,"#e6c78a",opacity=.5)); x+=w+2
        books.append(rect(-20,shelf,820,22,"#2a1a10")); books.append(rect(-20,shelf,820,5,"#8a5c34"))
    scene=group(*books,opacity=.78)
    body=group(
        path("M120 1050 C110 860 160 720 270 650 L500 650 C610 720 660 860 648 1050Z","url(#wing)"),
        path("M250 1050 C236 860 280 700 384 680 C490 700 532 860 520 1050Z","#f3e3c4"),
        *[path(f"M{x} {y} q12 22 24 0 q-12 34 -24 0Z","#b98a54",opacity=.8) for x,y in ((320,720),(372,740),(424,720),(300,770),(346,790),(398,790),(444,770))],
        path("M236 1050 C240 920 270 820 320 780 L384 880 L448 780 C500 820 530 920 534 1050Z","#37564c"),
        path("M320 780 L384 880 L350 900 L296 806Z","#456b5f"), path("M448 780 L384 880 L418 900 L472 806Z","#2a453c"),
        stroke("M384 884 L384 1050","#1f352e",5), circle(402,930,9,"#e0b351"),circle(402,990,9,"#e0b351"),
        stroke("M402 936 C450 990 480 960 500 930","#e0b351",4),
        path("M330 742 L384 766 L438 742 L444 796 L384 776 L324 796Z","#8f2c2c"), circle(384,768,14,"#a83a38"),
    )
    headg=at(384,410,
        path("M-190 -40 C-200 -150 -170 -200 -196 -262 C-130 -240 -100 -222 0 -224 C100 -222 130 -240 196 -262 C170 -200 200 -150 190 -40 C200 120 120 250 0 260 C-120 250 -200 120 -190 -40Z","#a06d3c"),
        path("M-190 -40 C-200 -150 -170 -200 -196 -262 C-130 -240 -100 -222 0 -224 L0 -150 C-80 -170 -150 -120 -190 -40Z","#8a5a30"),
        *[path(f"M{x} {y} q9 16 18 0 q-9 26 -18 0Z","#5f3c20",opacity=.7) for x,y in ((-120,-190),(-80,-200),(-40,-196),(0,-200),(40,-196),(80,-200),(-100,-166),(-58,-172),(-10,-176),(34,-172),(76,-168),(110,-186))],
        path("M0 -120 C-50 -190 -176 -160 -172 -30 C-170 110 -90 216 0 220 C90 216 170 110 172 -30 C176 -160 50 -190 0 -120Z","url(#owlface)"),
        stroke("M0 -120 C-50 -190 -176 -160 -172 -30 C-170 110 -90 216 0 220 C90 216 170 110 172 -30 C176 -160 50 -190 0 -120Z","#7a4d28",7),
        mirrored(stroke("M40 110 C70 90 100 70 128 60 M36 140 C70 130 96 116 116 104 M30 168 C52 164 74 154 92 142","#d8b27e",5)),
        mirrored(circle(80,-10,74,"#efd7ae"),circle(80,-10,56,"#e39a2c"),circle(80,-10,54,"#f3b53e"),circle(76,-10,31,"#17100c"),circle(64,-24,11,"#fff9ea"),path("M14 -58 C40 -96 120 -100 154 -54 C120 -74 50 -76 14 -40Z","#8a5a30")),
        path("M-20 30 C-10 10 10 10 20 30 C22 66 10 96 0 106 C-10 96 -22 66 -20 30Z","#3d3430"),path("M-12 32 C-6 20 2 18 6 24 C2 46 0 66 -4 80 C-10 66 -14 48 -12 32Z","#6d6058"),
        mirrored(circle(80,-8,80,"none",stroke="#d8ab4a",stroke_width=9),stroke("M158 -20 L196 -36","#d8ab4a",7)),stroke("M-4 -22 Q0 -30 4 -22","#d8ab4a",9),
        scale=1.0)
    return sheet(bg,scene,body,headg,defs=d,light="#ffcf80",dark="#120806")

def ines():
    f=Face(DEEP,"#d8d2cc",iris="#2b1a12",turn=-5,smile=13,brow=5,age=1,nose=1.25,lips=1.35,brow_weight=8,teeth=True,jaw=3)
    d,bg=backdrop("terra",(0,"#d9805a",1),(1,"#b4563a",1))
    scene=group(
        path("M-20 1050 L-20 430 C-20 130 260 40 384 40 C508 40 788 130 788 430 L788 1050Z","#c9694a"),
        path("M60 1050 L60 450 C60 200 260 110 384 110 C508 110 708 200 708 450 L708 1050Z","#e9b58a"),
        circle(384,410,250,"#f3d3a8"),
        path("M60 640 C160 600 220 620 300 600 L300 1050 L60 1050Z","#8fa06a",opacity=.9), path("M708 620 C600 590 560 610 480 596 L480 1050 L708 1050Z","#76895a",opacity=.9),
        *[stroke(f"M{x} 700 C{x-30} 610 {x-50} 560 {x+dx} 480","#5f7350",7) for x,dx in ((110,-10),(650,20))],
        *[path(f"M{x} {y} c-34 -10 -50 -34 -50 -54 c30 2 48 24 50 54Z","#6f8657") for x,y in ((96,600),(92,550),(98,650))],
        *[path(f"M{x} {y} c34 -10 50 -34 50 -54 c-30 2 -48 24 -50 54Z","#62784d") for x,y in ((662,600),(666,550),(658,650))])
    silver="#ded8d0"
    import random; r=random.Random(2)
    curls=lambda pts,c:"".join(circle(round(x+r.uniform(-4,4)),round(y+r.uniform(-4,4)),r.randint(15,21),c) for x,y in pts)
    import math
    crown=[(130*math.cos(a)*1.02,-60-150*math.sin(a)) for a in [i/22*math.pi for i in range(23)]]
    inner=[(104*math.cos(a),-84-116*math.sin(a)) for a in [i/18*math.pi for i in range(19)]]
    back=at(384,436,path("M-142 -10 C-150 -150 -90 -226 0 -226 C90 -226 150 -150 142 -10Z","#b9b1aa"),curls(crown,"#c9c2bb"),scale=1.16)
    body=group(at(384,436,neck(f.skin,60),scale=1.16),shoulders("#1f3d4a",spread=322),
        path("M268 742 C300 850 340 930 384 1000 C428 930 468 850 500 742 C460 700 308 700 268 742Z",f.skin.base),
        path("M384 760 C420 770 470 760 494 760 C468 850 428 930 384 1000Z",f.skin.shade,opacity=.5),
        path("M232 752 L384 1050 L300 1050 C250 960 220 860 232 752Z","#2d5566"),path("M536 752 L384 1050 L470 1050 C518 960 548 860 536 752Z","#173039"),
        stroke("M286 772 C320 850 350 880 384 884 C418 880 448 850 482 772","#e0a63c",6),*[circle(x,y,12,c) for x,y,c in ((330,850,"#e0a63c"),(356,874,"#c9502e"),(384,886,"#e0a63c"),(412,874,"#c9502e"),(438,850,"#e0a63c"))])
    front=at(384,436,
        path("M-130 -40 C-150 -150 -90 -232 0 -232 C90 -232 150 -150 130 -40 C122 -90 110 -130 76 -146 C30 -166 -30 -166 -76 -146 C-110 -130 -122 -90 -130 -40Z",silver),
        curls(inner,silver),curls([(x*.8,y+14) for x,y in inner[2:-2]],"#f0ebe4"),curls([(-128,-60),(-124,-90),(128,-60),(122,-90)],silver),
        mirrored(circle(136,70,26,"none",stroke="#e0a63c",stroke_width=8)),
        scale=1.16)
    glasses=""
    return sheet(bg,scene,back,body,at(384,436,head(f,"i"),scale=1.16),front,glasses,defs=d,light="#ffe0b0",dark="#3a120c")

def aurelio():
    f=Face(OLIVE,"#201a1c",iris="#3c4a3c",turn=-8,smile=3,brow=-2,tilt=-3,brow_weight=13,age=1,lashes=False,jaw=10,chin=4,lips=.75,nose=1.2)
    d,bg=backdrop("night",(0,"#0f2226",1),(.6,"#1f4446",1),(1,"#2f5a52",1))
    d+=glow("street",(0,"#fff1c4",1),(.25,"#ffd98a",.75),(1,"#ffcf80",0))
    import random; r=random.Random(8)
    scene=group(
        path("M-20 1050 L-20 220 L90 220 L90 160 L200 160 L200 1050Z","#122a2e"),path("M560 1050 L560 260 L640 200 L790 200 L790 1050Z","#0f2529"),
        *[rect(x,y,26,40,"#e8b95c",opacity=o) for x,y,o in ((20,300,.75),(120,260,.5),(120,380,.7),(30,480,.35),(690,300,.6),(740,420,.75),(600,380,.4))],
        circle(640,250,170,"url(#street)"),rect(634,270,12,700,"#0b181b"),path("M606 214 L674 214 L662 284 L618 284Z","#ffe9b0"),path("M596 214 C610 186 670 186 684 214Z","#0b181b"),rect(614,284,52,10,"#0b181b"),
        *[stroke(f"M{x} {y} l-14 {r.randint(40,70)}","#bfe0d8",2.5,opacity=.4) for x,y in [(r.randint(0,780),r.randint(0,900)) for _ in range(70)]])
    body=group(at(384,450,neck(f.skin,66),scale=1.14),shoulders("#6f5a3e",spread=340),
        path("M284 730 C320 800 360 850 384 880 C408 850 448 800 484 730 L500 1050 L268 1050Z","#e9dfcd"),path("M384 880 L484 730 L500 1050 L384 1050Z","#c2b49d"),
        path("M352 812 L384 850 L416 812 L424 850 L400 880 L420 1050 L348 1050 L368 880 L344 850Z","#7b2230"),
        path("M250 700 C200 740 180 800 190 860 L300 960 L350 1050 L60 1050 C60 900 120 780 250 700Z","#7d6748"),path("M518 700 C568 740 588 800 578 860 L468 960 L418 1050 L708 1050 C708 900 648 780 518 700Z","#57452f"),
        path("M256 696 C220 740 214 790 226 836 L340 930 C310 860 290 790 286 716Z","#937b58"),path("M512 696 C548 740 554 790 542 836 L428 930 C458 860 478 790 482 716Z","#6a5539"))
    hat="#2b3033"
    front=at(384,450,
        path("M-130 -60 C-134 -20 -132 20 -124 44 L-112 10 C-114 -20 -112 -50 -106 -76Z","#2a2022"),path("M130 -60 C134 -20 132 20 124 44 L112 10 C114 -20 112 -50 106 -76Z","#1c1517"),
        path("M-6 70 C-30 62 -64 72 -78 100 C-50 98 -20 96 0 86 C20 96 50 98 78 100 C64 72 30 62 6 70Z","#231c1e"),
        path("M-6 134 C-14 140 -14 152 0 168 C14 152 14 140 6 134Z","#231c1e",opacity=.85),
        path("M-200 -96 C-150 -130 -120 -128 -104 -134 C-100 -220 -90 -290 -40 -300 C-20 -290 20 -290 46 -300 C90 -286 102 -220 106 -134 C124 -128 156 -130 204 -100 C150 -64 70 -52 0 -52 C-70 -52 -150 -60 -200 -96Z",hat),
        path("M-106 -150 C-60 -122 60 -122 108 -150 L110 -112 C60 -86 -60 -86 -108 -112Z","#7b2230"),
        path("M-40 -300 C-20 -290 20 -290 46 -300 C60 -290 70 -276 78 -256 C40 -270 -20 -272 -60 -250 C-56 -276 -50 -292 -40 -300Z","#3d4448"),
        path("M-200 -96 C-150 -60 -70 -52 0 -52 C70 -52 150 -64 204 -100 C150 -84 60 -76 0 -76 C-60 -76 -150 -80 -200 -96Z","#171b1d"),
        turn=2,scale=1.14)
    shadow=at(384,450,path("M-128 -90 C-60 -60 60 -60 128 -90 L128 -40 C60 -26 -60 -26 -128 -40Z","#2a1a20",opacity=.4),turn=2,scale=1.14)
    return sheet(bg,scene,body,at(384,450,head(f,"a",side=1),turn=2,scale=1.14),shadow,front,defs=d,side=1,light="#ffd890",dark="#03100f")

def lucia():
    f=Face(GOLDEN,"#1f1310",iris="#4b2c15",turn=6,smile=14,brow=4,lips=1.25,teeth=True,brow_weight=9)
    d,bg=backdrop("wall",(0,"#f3e3c4",1),(1,"#e8cfa2",1))
    tiles=[]
    for row in range(7):
        for col in range(6):
            x,y=col*140-30,row*140+(-30)
            tiles.append(at(x+70,y+70,rect(-66,-66,132,132,"#f7efdc"),
                *[group(path("M0 -60 C24 -40 24 -20 0 0 C-24 -20 -24 -40 0 -60Z","#24679a"),path("M-62 -62 L-26 -62 C-26 -40 -40 -26 -62 -26Z","#e0a53a"),circle(0,-34,6,"#f7efdc"),transform=f"rotate({a})") for a in (0,90,180,270)],
                circle(0,0,15,"#c9502e"),circle(0,0,6,"#f7efdc")))
    scene=group(group(*tiles,opacity=.95),rect(-20,-20,808,1064,"#efd9b0",opacity=.25))
    hair="#2a1a16"
    import math,random; r=random.Random(4)
    def curls(pts,c,lo=26,hi=44): return "".join(circle(round(x),round(y),r.randint(lo,hi),c) for x,y in pts)
    ring=[(178*math.cos(a)+r.uniform(-10,10),-40-200*math.sin(a)*.95+r.uniform(-8,8)) for a in [(-.42+i/26*1.84)*math.pi+0 for i in range(27)]]
    ring=[(172*math.cos(a)+r.uniform(-10,10),-30-190*math.sin(a)+r.uniform(-8,8)) for a in [math.pi*(-.28+i/28*1.56) for i in range(29)]]
    back=at(384,430,path("M-170 180 C-230 60 -200 -150 -110 -220 C-40 -260 60 -260 120 -216 C210 -140 226 60 168 180 C120 220 -120 220 -170 180Z",hair),curls(ring,hair),curls([(x*1.04,y) for x,y in ring[::2]],"#38241d",18,28),scale=1.16)
    body=group(at(384,430,neck(f.skin,58),scale=1.16),shoulders(f.skin.base,spread=300),
        path("M384 740 C460 760 560 770 620 860 L640 1050 L384 1050Z",f.skin.shade,opacity=.45),
        path("M90 1050 C96 900 150 830 220 810 C260 900 320 940 384 944 C448 940 508 900 548 810 C620 830 672 900 680 1050Z","#c4342f"),
        path("M220 810 C260 900 320 940 384 944 C448 940 508 900 548 810 C560 830 556 860 546 880 C500 960 440 990 384 992 C328 990 268 960 222 880 C212 860 208 830 220 810Z","#e0523f"),
        *[circle(x,y,7,"#fbeed6") for x,y in ((170,920),(240,980),(320,1010),(140,1000),(450,1010),(530,970),(600,920),(630,1000),(390,1014))])
    front=at(384,430,
        path("M-134 -20 C-150 -130 -110 -218 -10 -222 C100 -224 150 -140 136 -10 C124 -70 100 -120 50 -156 C10 -120 -60 -106 -104 -96 C-122 -76 -130 -50 -134 -20Z",hair),
        curls([(-118,-80),(-132,-40),(-110,-130),(-60,-176),(0,-196),(60,-186),(112,-140),(132,-90),(140,-40)],hair,28,40),
        curls([(-80,-150),(-20,-182),(40,-180),(96,-140)],"#3f2a22",16,24),
        stroke("M-150 0 C-160 40 -150 70 -164 110",hair,16),
        *[path("M0 0 C-30 -10 -34 -44 0 -52 C34 -44 30 -10 0 0Z","#d7372f",transform=f"translate(120 -110) rotate({a})") for a in range(0,360,60)],circle(120,-110,15,"#f0b040"),
        mirrored(stroke("M132 40 L134 62","#e0a53a",4),path("M134 62 C152 78 152 108 134 122 C116 108 116 78 134 62Z","#d7472f")),
        scale=1.16)
    return sheet(bg,scene,back,body,at(384,430,head(f,"l"),scale=1.16),front,defs=d,light="#fff0c4",dark="#4a1a10")

def otis():
    f=Face(BROWN,"#efe8de",iris="#23150e",turn=5,smile=10,brow=5,age=2,lashes=False,jaw=8,nose=1.3,lips=1.1,brow_weight=13)
    d,bg=backdrop("park",(0,"#f2d9a2",1),(.55,"#dcae62",1),(1,"#8f9a52",1))
    import random; r=random.Random(6)
    squares=[]
    for row in range(5):
        for col in range(12):
            y0=760+row*60; s=1+row*.18; w=76*s
            x=384+(col-6)*w
            squares.append(path(f"M{x:.0f} {y0} L{x+w:.0f} {y0} L{384+(col-5)*w*1.18:.0f} {y0+62} L{384+(col-6)*w*1.18:.0f} {y0+62}Z","#5b3a22" if (row+col)%2 else "#e9d3a6"))
    leaves=[ellipse(r.randint(-20,790),r.randint(-20,330),r.randint(30,70),r.randint(22,44),r.choice(["#c9832e","#e0a03a","#b0602a","#d9b44a","#93913c"]),opacity=.9) for _ in range(60)]
    scene=group(path("M60 1050 C90 700 60 400 100 200 L170 200 C170 460 150 760 190 1050Z","#6b4529"),path("M100 380 C40 300 20 280 -30 260 M150 330 C220 280 260 260 320 190","none",stroke="#6b4529",stroke_width=26),*leaves,circle(620,180,90,"#fff0c0",opacity=.75))
    body=group(at(384,440,neck(f.skin,68),scale=1.16),shoulders("#3f5a45",spread=336),
        path("M270 740 C300 820 340 870 384 900 C428 870 468 820 498 740 L520 1050 L248 1050Z","#e8ddc8"),
        path("M262 740 C250 800 262 900 330 1050 L150 1050 C150 900 190 790 262 740Z","#4d6d54"),path("M506 740 C518 800 506 900 438 1050 L618 1050 C618 900 578 790 506 740Z","#304636"),
        *[stroke(f"M{x} 800 l0 250 M{x-60} {y} l150 0","#7d9a76",3,opacity=.45) for x,y in ((200,880),(560,880),(240,960),(600,960))],
        path("M330 800 C360 830 408 830 438 800 L430 860 L400 850 L410 1000 L384 1030 L358 1000 L368 850 L338 860Z","#a33d2c"))
    beard="#efe8de"
    front=at(384,440,
        path("M-128 10 C-132 70 -116 130 -84 168 C-50 214 50 214 84 168 C116 130 132 70 128 10 C112 60 96 84 70 92 C40 74 20 72 0 78 C-20 72 -40 74 -70 92 C-96 84 -112 60 -128 10Z",beard),
        path("M-46 98 C-24 92 24 92 46 98 C30 124 -30 124 -46 98Z","#5a2a24"),path("M-32 99 C-14 96 14 96 32 99 C20 107 -20 107 -32 99Z","#f6efe4"),
        path("M0 72 C-30 60 -66 74 -84 100 C-60 104 -24 104 0 90 C24 104 60 104 84 100 C66 74 30 60 0 72Z","#fffaf2"),
        *[stroke(f"M{x} 140 q4 20 0 {36-abs(x)*.2}","#d3c8b8",4) for x in (-60,-36,-12,12,36,60)],
        path("M-128 -50 C-136 -30 -136 0 -128 24 L-116 -10Z",beard),path("M128 -50 C136 -30 136 0 128 24 L116 -10Z",beard),
        path("M-150 -86 C-166 -180 -90 -244 10 -240 C110 -238 166 -180 152 -90 C120 -120 60 -128 0 -126 C-60 -124 -120 -116 -150 -86Z","#7a5a3c"),
        path("M-164 -80 C-120 -124 120 -132 170 -84 C120 -76 60 -86 0 -84 C-60 -84 -120 -70 -164 -80Z","#5a4029"),
        *[stroke(f"M{x} -230 C{x*1.3} -190 {x*1.5} -160 {x*1.4} -130","#93704c",4,opacity=.7) for x in (-80,-40,0,40,80)],circle(6,-240,12,"#5a4029"),
        turn=-2,scale=1.16)
    return sheet(bg,scene,body,at(384,440,head(f,"o"),turn=-2,scale=1.16),front,defs=d,light="#fff0b8",dark="#2a1608")

def wren():
    f=Face(FAIR,"#9c4a22",iris="#4c7a4a",turn=-8,smile=5,brow=1,tilt=-3,freckles=True,brow_weight=9,jaw=-4)
    d,bg=backdrop("dawn",(0,"#20403a",1),(.5,"#5f8f6a",1),(1,"#d8d28a",1))
    trunk=lambda x,w,c:path(f"M{x} 1050 L{x+6} -20 L{x+w-6} -20 L{x+w} 1050Z",c)
    scene=group(circle(520,330,210,"#f6ecb0",opacity=.75),circle(520,330,320,"#f6ecb0",opacity=.25),
        trunk(40,34,"#6f9a72"),trunk(250,24,"#6f9a72"),trunk(620,30,"#769e70"),trunk(470,18,"#86aa76"),
        trunk(-30,76,"#2f5a48"),trunk(150,50,"#3d6a52"),trunk(680,80,"#2b5344"),trunk(580,38,"#3f6c52"),
        path("M-20 700 C140 640 240 720 420 680 C560 650 700 700 800 660 L800 1050 L-20 1050Z","#2a4c3c"),
        *[path(f"M{x} {y} c-40 -30 -40 -70 -20 -100 c30 30 40 60 20 100Z","#24443a") for x,y in ((90,740),(140,730),(640,720),(700,730),(60,780))])
    cloak="#2f5d3f"
    back=at(384,436,path("M-196 270 C-236 60 -220 -160 -120 -250 C-60 -300 70 -300 130 -246 C222 -160 236 60 196 270Z","#234a32"),
        path("M-150 260 C-170 100 -164 -90 -110 -170 C-60 -220 60 -220 112 -170 C166 -90 172 100 150 260Z","#172f22"),scale=1.14)
    body=group(at(384,436,neck(f.skin,56),scale=1.14),shoulders(cloak,spread=340),
        path("M276 736 C310 800 350 830 384 836 C418 830 458 800 492 736 L470 900 L384 960 L298 900Z","#6b4a2c"),path("M384 836 C418 830 458 800 492 736 L470 900 L384 960Z","#523620"),
        stroke("M340 850 l88 40 M340 900 l88 -40","#d9c49a",5),
        path("M230 700 C240 800 300 900 380 960 L330 1050 L40 1050 C60 880 130 760 230 700Z","#3a6f4b"),path("M538 700 C528 800 468 900 388 960 L438 1050 L728 1050 C708 880 638 760 538 700Z","#244a33"),
        at(384,952,circle(0,0,34,"#c99a4a"),path("M0 -24 C16 -10 16 10 0 26 C-16 10 -16 -10 0 -24Z","#7b5a24"),stroke("M0 -20 L0 22","#e8cf94",4)))
    hair="#b4562a"
    front=at(384,436,
        path("M-130 40 C-156 -110 -100 -212 -6 -216 C96 -214 152 -110 130 40 C126 -50 100 -120 14 -164 C-30 -110 -110 -90 -118 -60 C-126 -20 -130 10 -130 40Z",hair),
        path("M14 -164 C-30 -110 -110 -90 -118 -60 C-110 -120 -60 -180 10 -196Z","#cf7238"),
        path("M-128 20 C-150 90 -120 150 -150 220 C-120 230 -96 180 -104 120 C-110 80 -118 50 -128 20Z",hair),path("M128 20 C150 90 116 150 146 230 C112 230 92 180 102 120 C108 80 118 50 128 20Z","#8f3f1e"),
        stroke("M-134 60 C-144 110 -124 160 -138 206","#d98348",5),
        path("M-198 180 C-226 0 -196 -190 -100 -256 C-40 -292 60 -290 116 -250 C206 -180 226 0 198 180 C190 20 160 -120 90 -186 C40 -216 -40 -216 -90 -186 C-160 -120 -190 20 -198 180Z",cloak),
        path("M-198 180 C-226 0 -196 -190 -100 -256 C-60 -280 -20 -286 10 -284 C-90 -250 -170 -160 -198 180Z","#41794f"),
        stroke("M-92 -182 C-40 -214 40 -214 92 -182 C158 -118 188 20 196 170","#c99a4a",5,opacity=.9),stroke("M-92 -182 C-158 -118 -188 20 -196 170","#c99a4a",5,opacity=.9),
        scale=1.14)
    return sheet(bg,scene,back,body,at(384,436,head(f,"w",ears=False,side=1),scale=1.14),front,defs=d,side=1,light="#fff2b0",dark="#08180f")

def pia():
    f=Face(OLIVE,"#cfc6bb",iris="#3f2a1a",turn=0,smile=16,brow=6,age=2,jaw=10,chin=-6,lips=.95,teeth=True,lashes=False,brow_weight=7,nose=1.15,eye=.85)
    d,bg=backdrop("kitchen",(0,"#f4dfae",1),(1,"#e9bd79",1))
    def pan(x,y,r,c,l): return at(x,y,stroke("M0 -140 L0 0","#5a3a22",7),circle(0,r,r,c),circle(0,r,r*.82,l),stroke(f"M{-r*.5} {r*.55} C{-r*.2} {r*.25} {r*.2} {r*.2} {r*.5} {r*.4}","#fbe3b8",6,opacity=.7))
    tile=[rect(x,y,92,70,c) for y in range(300,1000,76) for x,c in [(xx,"#f7ead0" if (xx//98+y//76)%2 else "#f1dcb2") for xx in range(-10,790,98)]]
    scene=group(*tile,rect(-20,110,820,22,"#6b4326"),pan(110,190,62,"#a8512a","#c9703a"),pan(640,190,72,"#a8512a","#cf7a40"),pan(246,150,40,"#7d8a86","#a3b0aa"),
        stroke("M520 120 C510 200 530 240 516 300","#7a8a3a",6),*[circle(x,y,19,"#efe4d4",stroke="#cdb9a0",stroke_width=3) for x,y in ((510,200),(530,230),(508,258),(526,290),(514,322))],
        stroke("M730 120 C726 200 740 250 732 420","#6f8a3a",6),*[path(f"M{x} {y} c-10 30 0 60 14 74 c14 -20 14 -56 2 -74Z","#c4342f") for x,y in ((712,240),(738,270),(716,310),(742,350),(722,390))])
    body=group(at(384,446,neck(f.skin,68),scale=1.14),shoulders("#7d3550",spread=340),
        *[circle(x,y,7,"#f0c9b8",opacity=.9) for x,y in ((150,900),(200,850),(110,980),(230,930),(640,980),(560,860),(610,910),(680,960),(290,790),(480,790))],
        path("M284 732 C310 800 350 826 384 828 C418 826 458 800 484 732 L510 760 C470 850 300 850 258 760Z","#f4ead8"),
        path("M250 1050 L262 880 C300 860 468 860 506 880 L518 1050Z","#f4ead8"),path("M384 862 C440 862 480 870 506 880 L518 1050 L384 1050Z","#ddcdb2"),
        stroke("M262 884 C240 820 236 790 250 756","#f4ead8",22),stroke("M506 884 C528 820 532 790 518 756","#ddcdb2",22),
        at(384,950,path("M0 -30 C40 -44 64 -10 46 24 C30 50 -30 50 -46 24 C-64 -10 -40 -44 0 -30Z","#c4342f"),path("M0 -30 C-20 -44 -26 -40 -34 -36 M0 -30 C20 -46 30 -40 36 -36 M0 -30 L4 -52","none",stroke="#4f7a34",stroke_width=8,stroke_linecap="round")))
    white="#efe9e0"
    front=at(384,446,
        path("M-132 -20 C-150 -110 -110 -190 -20 -200 C-10 -150 -70 -110 -116 -86 C-126 -60 -130 -40 -132 -20Z",white),path("M132 -20 C150 -110 110 -190 20 -200 C10 -150 70 -110 116 -86 C126 -60 130 -40 132 -20Z","#dcd4c8"),
        path("M-146 -70 C-160 -180 -90 -252 0 -252 C90 -252 160 -180 146 -70 C110 -150 50 -178 0 -178 C-50 -178 -110 -150 -146 -70Z","#2f6a6f"),
        *[circle(x,y,8,"#f0d9a0") for x,y in ((-110,-150),(-70,-200),(-20,-216),(40,-212),(90,-180),(124,-130),(-126,-110))],
        path("M-150 -66 C-170 -40 -176 -10 -170 20 C-150 0 -140 -30 -140 -60Z","#2f6a6f"),
        path("M-4 -178 C-50 -176 -110 -150 -146 -70 L-136 -58 C-106 -126 -52 -158 -4 -160Z","#3f858a"),
        mirrored(circle(138,44,9,"#e0a63c")),
        scale=1.14)
    return sheet(bg,scene,body,at(384,446,head(f,"p"),scale=1.14),front,defs=d,light="#fff0b8",dark="#40180a")

def anjali():
    f=Face(BROWN,"#17100f",iris="#2c1a10",turn=0,smile=7,brow=5,eye=.12,lips=1.15,brow_weight=9)
    d,bg=backdrop("rise",(0,"#f6c7a0",1),(.45,"#f3dcb4",1),(1,"#a8c3b4",1))
    scene=group(circle(384,420,300,"#fbe7b8",opacity=.6),circle(384,420,232,"#fff3d2",opacity=.8),
        path("M-20 560 C120 460 240 520 330 560 C460 480 600 450 800 560 L800 1050 L-20 1050Z","#9db8b4"),path("M-20 640 C140 560 260 640 400 620 C560 580 660 590 800 640 L800 1050 L-20 1050Z","#7a9f9a"),path("M-20 740 C140 680 300 740 440 720 C600 690 700 700 800 730 L800 1050 L-20 1050Z","#5c857f"),
        *[stroke(f"M{x} {y} q14 -12 28 0 q14 -12 28 0","#7d5a4a",4) for x,y in ((110,210),(190,160),(590,240),(80,300))])
    hair="#221715"
    back=at(384,430,path("M-140 80 C-160 -60 -150 -200 0 -214 C150 -200 160 -60 140 80Z",hair),scale=1.16)
    shawl="#c9603a"
    braid=group(*[path(f"M{250-i*3} {640+i*56} c-34 10 -46 40 -20 66 c34 10 60 -10 56 -44 c-6 -20 -20 -26 -36 -22Z",hair if i%2 else "#32221e") for i in range(6)],path("M216 970 c-10 30 -6 60 6 84 c22 -20 28 -54 18 -84Z",hair),rect(212,962,34,12,"#e0a63c"))
    body=group(at(384,430,neck(f.skin,56),scale=1.16),shoulders("#e9dcc2",spread=310),
        path("M290 730 C320 790 350 812 384 814 C418 812 448 790 478 730 C486 790 450 850 384 856 C318 850 282 790 290 730Z",f.skin.base),
        path("M500 730 C600 770 690 860 710 1050 L250 1050 C330 980 440 880 500 730Z",shawl),path("M500 730 C540 750 580 776 610 810 C540 920 440 1000 380 1050 L250 1050 C330 980 440 880 500 730Z","#dd7a4c"),
        stroke("M512 740 C450 890 340 990 262 1050","#e9b95c",9),stroke("M540 756 C480 900 380 1000 310 1050","#e9b95c",4),
        *[circle(x,y,6,"#f0cf84") for x,y in ((600,860),(640,930),(560,930),(600,1000),(520,1000),(670,1010))])
    front=at(384,430,
        path("M-130 30 C-150 -100 -110 -206 0 -212 C110 -206 150 -100 130 30 C124 -60 96 -130 0 -168 C-96 -130 -124 -60 -130 30Z",hair),
        path("M0 -168 C-96 -130 -124 -60 -130 30 C-140 -60 -120 -150 -60 -190 C-40 -190 -20 -180 0 -168Z","#3a2924"),
        circle(0,-96,9,"#b8352c"),
        *[group(*[path("M0 0 C-12 -6 -14 -20 0 -24 C14 -20 12 -6 0 0Z","#fffaf0",transform=f"translate({x} {y}) rotate({a})") for a in range(0,360,72)],circle(x,y,5,"#f2c24e")) for x,y in ((-118,-120),(-134,-84),(-96,-156))],
        mirrored(path("M130 40 C146 60 146 80 130 96 C114 80 114 60 130 40Z","#e0a63c"),circle(130,106,6,"#e0a63c")),
        scale=1.16)
    lids=at(384,430,mirrored(stroke("M24 -14 C40 -2 66 -2 84 -18","#17100f",5)),scale=1.16)
    return sheet(bg,scene,back,body,at(384,430,head(f,"an"),scale=1.16),lids,front,braid,defs=d,light="#ffe8b0",dark="#2a1a1a")

def basil():
    f=Face(PALE,"#1b1520",iris="#a8323a",turn=6,smile=12,brow=9,tilt=3,age=1,lashes=False,jaw=-8,chin=8,lips=.8,nose=1.05,brow_weight=9)
    d,bg=backdrop("bakery",(0,"#2b1a3a",1),(.6,"#5a2f4e",1),(1,"#a8583e",1))
    d+=glow("oven",(0,"#ffd98a",1),(.5,"#f59a4a",.7),(1,"#f08a3a",0))
    def loaf(x,y,w,c="#d9a05a"): return at(x,y,path(f"M{-w} 30 C{-w-8} -26 {w+8} -26 {w} 30Z",c),*[stroke(f"M{i} -2 q10 10 6 22","#f5d9a6",5) for i in (-w*.5,-4,w*.4)])
    scene=group(circle(620,820,380,"url(#oven)",opacity=.8),rect(-20,300,260,14,"#38213c"),rect(-20,470,230,14,"#38213c"),rect(560,300,240,14,"#38213c"),
        loaf(60,276,52),loaf(170,280,40,"#c98a48"),loaf(70,446,46,"#c07c3e"),loaf(160,452,36,"#e0aa66"),loaf(640,278,50),loaf(730,282,34,"#c98a48"),
        circle(384,190,150,"#f3e6c4"),circle(344,160,20,"#e0cfa6",opacity=.7),circle(430,230,26,"#e0cfa6",opacity=.6),
        *[at(x,y,path("M0 0 C-16 -14 -34 -12 -48 0 C-36 -2 -30 6 -26 14 C-18 6 -8 8 0 14 C8 8 18 6 26 14 C30 6 36 -2 48 0 C34 -12 16 -14 0 0Z","#1d1226"),scale=s) for x,y,s in ((140,140,1),(620,120,.8),(700,210,.55))])
    body=group(path("M100 1050 C60 860 130 700 210 560 C240 640 260 680 290 720 L478 720 C508 680 528 640 558 560 C638 700 708 860 668 1050Z","#1b1320"),
        path("M210 560 C240 640 260 680 290 720 L330 800 L250 830 C200 760 196 660 210 560Z","#8f2036"),path("M558 560 C528 640 508 680 478 720 L438 800 L518 830 C568 760 572 660 558 560Z","#6d1629"),
        at(384,440,neck(f.skin,58),scale=1.14),
        path("M276 740 C320 800 350 830 384 846 C418 830 448 800 492 740 L530 1050 L238 1050Z","#f6f0e4"),path("M384 846 C418 830 448 800 492 740 L530 1050 L384 1050Z","#cfc4bc"),
        path("M384 850 L330 816 L322 880Z","#241a2a"),path("M384 850 L438 816 L446 880Z","#241a2a"),circle(384,850,13,"#3a2a40"),
        path("M268 930 C320 910 448 910 500 930 L520 1050 L248 1050Z","#e7dac2"),stroke("M268 932 C320 912 448 912 500 932","#b8a88e",5),
        *[circle(x,y,r,"#fffdf6",opacity=.9) for x,y,r in ((180,900,8),(200,930,5),(150,950,6),(600,910,7),(570,950,5),(620,980,6))])
    hair="#1b1520"
    front=at(384,440,
        path("M-132 10 C-156 -120 -100 -222 0 -226 C100 -222 156 -120 132 10 C126 -40 120 -84 96 -120 C60 -150 24 -130 0 -88 C-24 -130 -60 -150 -96 -120 C-120 -84 -126 -40 -132 10Z",hair),
        path("M-96 -120 C-60 -150 -24 -130 0 -88 C-30 -170 -90 -190 -120 -110Z","#342a3e"),
        path("M-22 104 L-16 124 L-9 106Z","#fffaf0"),path("M22 104 L16 124 L9 106Z","#fffaf0"),
        ellipse(-78,70,16,10,"#fffdf6",opacity=.8),ellipse(-70,62,8,5,"#fffdf6",opacity=.9),
        path("M-124 -34 L-156 -64 L-140 12Z",f.skin.base),path("M124 -34 L156 -64 L140 12Z",f.skin.shade),
        turn=3,scale=1.14)
    return sheet(bg,scene,body,at(384,440,head(f,"b",side=1),turn=3,scale=1.14),front,defs=d,side=1,light="#ffc890",dark="#12061c")

def elowen():
    f=Face(FAIR,"#3a2a22",iris="#5a6a3c",turn=7,smile=3,brow=7,tilt=-2,brow_weight=8,age=1,jaw=-2,lips=.95)
    d,bg=backdrop("study",(0,"#cfd9d4",1),(1,"#9fb3ac",1))
    import random; r=random.Random(9)
    pages=[]
    for x,y,a in ((40,60,-9),(500,20,6),(270,-60,-3),(620,300,10),(-60,380,7),(640,620,-8),(-40,700,-6)):
        lines="".join(stroke(f"M24 {40+i*26} h{r.randint(110,190)}","#8a8378",4,opacity=.7) for i in range(10))
        marks=stroke("M30 92 h90 M40 174 c20 -14 40 14 60 0 s40 14 60 0","#c4392f",5)+circle(150,120,26,"none",stroke="#c4392f",stroke_width=4)
        pages.append(at(x,y,rect(6,8,230,310,"#6f8079",opacity=.35),rect(0,0,230,310,"#fbf6ea"),lines,marks,turn=a))
    scene=group(*pages)
    hair="#8a5a3a"
    back=at(384,436,path("M-152 130 C-180 -40 -160 -220 0 -226 C160 -220 180 -40 152 130 C120 150 -120 150 -152 130Z","#6d442b"),scale=1.16)
    body=group(at(384,436,neck(f.skin,54),scale=1.16),shoulders("#2c4a63",spread=312),
        path("M290 736 C300 820 350 880 384 900 C418 880 468 820 478 736 L520 760 C520 860 440 960 384 980 C328 960 248 860 248 760Z","#f6efe0"),path("M384 900 C418 880 468 820 478 736 L520 760 C520 860 440 960 384 980Z","#d3c7b0"),
        path("M250 752 C250 860 310 960 384 1000 L384 1050 L110 1050 C120 900 170 800 250 752Z","#37597a"),path("M518 752 C518 860 458 960 384 1000 L384 1050 L658 1050 C648 900 598 800 518 752Z","#22394e"))
    front=at(384,436,
        path("M-150 130 C-176 -20 -160 -214 0 -222 C160 -214 176 -20 150 130 C130 136 116 130 110 110 C136 20 126 -60 104 -96 C40 -84 -60 -84 -106 -94 C-126 -60 -136 20 -110 110 C-116 130 -130 136 -150 130Z",hair),
        path("M-106 -94 C-60 -84 40 -84 104 -96 C100 -130 60 -160 0 -162 C-60 -160 -100 -130 -106 -94Z","#9c6a45"),
        *[stroke(f"M{x} -158 C{x*1.1} -130 {x*1.15} -110 {x*1.15} -92","#7d5135",4,opacity=.7) for x in (-70,-40,-10,20,50,76)],
        stroke("M-136 -60 C-150 0 -146 60 -134 110 M138 -60 C150 0 148 60 136 110","#6d442b",6,opacity=.7),
        mirrored(circle(59,-14,45,"#fffdf4",opacity=.16),circle(59,-14,45,"none",stroke="#2a2a30",stroke_width=8),stroke("M103 -20 L130 -26","#2a2a30",7)),stroke("M14 -20 C16 -28 2 -30 0 -30 C-2 -30 -14 -28 -8 -20","#2a2a30",0.1),stroke("M16 -18 Q7 -28 -2 -18","#2a2a30",7),
        at(118,-60,rect(-7,-110,14,150,"#c4392f"),path("M-7 40 L0 64 L7 40Z","#f0d9b0"),rect(-7,-118,14,14,"#e9b0a0"),turn=38),
        scale=1.16)
    return sheet(bg,scene,back,body,at(384,436,head(f,"e",ears=False),scale=1.16),front,defs=d,light="#fff6dc",dark="#0c1c24")

def tock():
    d,bg=backdrop("dome",(0,"#123a4a",1),(.6,"#2c7a70",1),(1,"#8fc48a",1))
    d+=fade("metal",(0,"#fdf3dd",1),(.6,"#e9d5ae",1),(1,"#b89a6e",1))+fade("glass",(0,"#15323a",1),(1,"#0b1d26",1))+glow("eye",(0,"#fffbe0",1),(.5,"#ffd765",1),(1,"#f2a33c",1))
    leaf=lambda x,y,a,c,s=1:at(x,y,path("M0 0 C-50 -40 -50 -120 0 -170 C50 -120 50 -40 0 0Z",c),stroke("M0 0 L0 -150","#ffffff",3,opacity=.25),turn=a,scale=s)
    scene=group(*[stroke(f"M{x} -20 C{x+(384-x)*.2} 300 {x} 600 {x-20} 1050","#bfe6d8",4,opacity=.3) for x in (60,220,384,548,710)],*[stroke(f"M-20 {y} C200 {y-30} 560 {y-30} 800 {y}","#bfe6d8",4,opacity=.3) for y in (140,340,560)],
        *[circle(x,y,2.6,"#fff",opacity=.8) for x,y in ((100,60),(180,120),(300,50),(480,90),(660,70),(720,180),(40,240),(560,40))],
        leaf(60,760,-30,"#2f7a4a",1.7),leaf(0,900,20,"#2a6a44",1.8),leaf(150,820,-8,"#3f8f55",1.2),leaf(720,780,26,"#2f7a4a",1.8),leaf(640,840,4,"#3f8f55",1.3),leaf(790,900,-20,"#2a6a44",1.7))
    body=group(rect(340,640,88,120,"#8a7654"),*[rect(332,y,104,14,"#6d5b3e",rx=7) for y in (660,690,720)],
        path("M150 1050 C150 860 220 750 384 744 C548 750 618 860 618 1050Z","url(#metal)"),path("M384 744 C548 750 618 860 618 1050 L470 1050 C480 900 460 800 384 744Z","#c4a677",opacity=.6),
        circle(384,930,84,"#8a7654"),circle(384,930,72,"url(#glass)"),path("M334 970 C350 940 418 940 434 970 C424 994 344 994 334 970Z","#5a3d26"),leaf(384,960,0,"#6fc46a",.45),leaf(384,962,-48,"#58ad5c",.34),leaf(384,962,48,"#58ad5c",.34),stroke("M334 900 C344 880 360 870 376 868","#dff5ea",5,opacity=.7),
        *[circle(x,y,8,"#8a7654") for x,y in ((230,880),(220,960),(538,880),(548,960))])
    headg=at(384,420,
        stroke("M0 -226 L0 -290","#8a7654",12),circle(0,-304,22,"#f2733c"),circle(-6,-310,7,"#ffd9b0"),
        mirrored(rect(196,-60,50,110,"#b89a6e",rx=22),rect(226,-34,34,58,"#f2733c",rx=16)),
        path("M-216 0 C-220 -150 -150 -226 0 -226 C150 -226 220 -150 216 0 C216 140 150 216 0 216 C-150 216 -216 140 -216 0Z","url(#metal)"),
        path("M60 -222 C160 -206 218 -130 216 0 C216 140 150 216 0 216 C130 180 170 60 150 -60 C140 -130 110 -190 60 -222Z","#b08e5c",opacity=.55),
        path("M-166 -10 C-166 -110 -110 -140 0 -140 C110 -140 166 -110 166 -10 C166 84 110 116 0 116 C-110 116 -166 84 -166 -10Z","url(#glass)"),
        mirrored(circle(72,-20,44,"url(#eye)"),circle(60,-34,12,"#fffef4")),
        stroke("M-34 62 C-16 80 16 80 34 62","#ffd765",9),
        stroke("M-140 -60 C-126 -96 -100 -116 -70 -122","#dff5ea",7,opacity=.55),
        path("M-150 170 C-130 182 -110 190 -90 196","none",stroke="#b08e5c",stroke_width=5),
        leaf(-120,-196,-38,"#58ad5c",.5),leaf(-96,-206,-6,"#6fc46a",.42),at(-128,-206,*[path("M0 0 C-12 -6 -14 -24 0 -30 C14 -24 12 -6 0 0Z","#f7d9ea",transform=f"rotate({a})") for a in range(0,360,60)],circle(0,0,8,"#f2a33c")),
        turn=-4)
    return sheet(bg,scene,body,headg,defs=d,light="#fff2c0",dark="#03201f")

def kasimir():
    d,bg=backdrop("dusk",(0,"#2c2a55",1),(.5,"#8a4a6b",1),(1,"#f0a060",1))
    d+=fade("fur",(0,"#e8823a",1),(1,"#b8521f",1))
    hills=group(circle(560,240,92,"#fbe6b4"),circle(560,240,140,"#fbe6b4",opacity=.25),
        path("M-20 620 C100 540 180 600 300 560 C440 510 560 600 800 540 L800 1050 L-20 1050Z","#5a3358"),
        path("M60 600 l0 -120 l30 -50 l30 50 l0 120Z M150 590 l0 -70 l60 0 l0 70Z","#432746"),rect(78,500,16,24,"#ffd98a"),rect(170,540,16,20,"#ffd98a"),
        path("M-20 700 C160 640 300 700 480 670 C620 650 700 680 800 660 L800 1050 L-20 1050Z","#3f2444"))
    body=group(path("M96 1050 C100 860 170 760 280 700 L488 700 C598 760 668 860 672 1050Z","#7b2233"),
        path("M280 700 C300 800 340 860 384 890 C428 860 468 800 488 700 L540 740 C520 860 450 960 384 1000 C318 960 248 860 228 740Z","#f6ead4"),path("M384 890 C428 860 468 800 488 700 L540 740 C520 860 450 960 384 1000Z","#d9c3a0"),
        *[path(f"M{x} {y} l14 40 l14 -40Z","#fff7e6") for x,y in ((300,820),(340,880),(400,880),(440,820))],
        path("M232 736 C250 860 320 960 384 1004 L384 1050 L96 1050 C100 880 150 790 232 736Z","#94304a"),path("M536 736 C518 860 448 960 384 1004 L384 1050 L672 1050 C668 880 618 790 536 736Z","#5f1828"),
        stroke("M232 740 C250 860 320 960 384 1004 C448 960 518 860 536 740","#e0a63c",6),
        at(600,930,path("M0 -150 C70 -150 90 -60 70 0 C120 60 80 150 0 150 C-80 150 -120 60 -70 0 C-90 -60 -70 -150 0 -150Z","#9c5a2a"),circle(0,20,34,"#3a1f10"),rect(-14,-330,28,230,"#5a3218"),*[stroke(f"M{x} -320 L{x} 100","#f6e3b8",2.5) for x in (-7,0,7)],turn=28,scale=.9))
    headg=at(384,450,
        mirrored(path("M60 -130 C90 -220 150 -300 196 -320 C216 -230 206 -120 160 -50Z","url(#fur)"),path("M96 -140 C116 -200 150 -250 180 -276 C186 -210 178 -140 150 -90Z","#4a2018"),path("M110 -130 C126 -176 146 -210 166 -228 C168 -180 160 -136 142 -104Z","#f0c9a6",opacity=.75)),
        path("M0 -190 C90 -190 160 -130 178 -40 C214 -10 232 40 236 80 C196 78 180 92 160 110 C120 160 50 214 0 226 C-50 214 -120 160 -160 110 C-180 92 -196 78 -236 80 C-232 40 -214 -10 -178 -40 C-160 -130 -90 -190 0 -190Z","url(#fur)"),
        path("M0 226 C-50 214 -120 160 -160 110 C-180 92 -196 78 -236 80 C-210 50 -170 20 -120 20 C-70 20 -40 50 -22 100 C-14 60 14 60 22 100 C40 50 70 20 120 20 C170 20 210 50 236 80 C196 78 180 92 160 110 C120 160 50 214 0 226Z","#fbf0dc"),
        path("M22 100 C40 50 70 20 120 20 C170 20 210 50 236 80 C196 78 180 92 160 110 C120 160 50 214 0 226 L0 150Z","#e3caa4",opacity=.75),
        path("M40 -186 C110 -170 166 -120 178 -40 C150 -60 120 -10 60 -10 C80 -70 80 -130 40 -186Z","#a8461a",opacity=.55),
        path("M0 -190 C-14 -130 -14 -60 0 0 C14 -60 14 -130 0 -190Z","#fbd9a0",opacity=.45),
        mirrored(path("M50 -34 C70 -70 116 -74 140 -48 C124 -20 84 -8 50 -34Z","#2a130d"),path("M60 -38 C76 -62 112 -64 130 -46 C114 -26 84 -20 60 -38Z","#f0b03c"),ellipse(94,-44,9,19,"#170b07"),circle(86,-52,5,"#fff8e4"),stroke("M44 -74 C70 -104 120 -106 152 -76","#8a3a16",9)),
        path("M-30 146 C-20 130 20 130 30 146 C28 168 10 180 0 184 C-10 180 -28 168 -30 146Z","#24130f"),ellipse(-8,148,9,5,"#7a5a50"),
        stroke("M0 184 L0 196 C-14 208 -34 206 -46 196 M0 196 C14 208 34 206 46 196","#4a2018",5),
        mirrored(stroke("M70 150 C110 146 150 150 190 162 M68 162 C106 168 140 180 168 198","#fff4dc",3,opacity=.8)),
        path("M-150 -96 C-110 -190 60 -240 170 -150 C120 -170 0 -150 -150 -96Z","#31543f"),path("M-168 -84 C-100 -140 60 -176 190 -140 C196 -128 190 -120 180 -118 C80 -136 -70 -110 -156 -66Z","#25402f"),
        path("M120 -170 C170 -260 230 -290 290 -300 C270 -220 230 -170 150 -140Z","#f2d98a"),stroke("M140 -150 C190 -210 230 -250 276 -288","#c9963a",4),
        turn=-5,scale=.95)
    return sheet(bg,hills,body,headg,defs=d,light="#ffd9a0",dark="#160a22")

def noor():
    f=Face(OLIVE,"#2a1a14",iris="#3a2a18",turn=-7,smile=11,brow=4,lips=1.1,brow_weight=10,nose=1.05)
    d,bg=backdrop("chalk",(0,"#17384a",1),(1,"#0f2530",1))
    import math
    orb=lambda r,a,o=.6:stroke(f"M{384-r} 380 A{r} {r*.38:.0f} 0 1 0 {384+r} 380 A{r} {r*.38:.0f} 0 1 0 {384-r} 380","#d9efe6",3.5,opacity=o,transform=f"rotate({a} 384 380)")
    scene=group(orb(330,20),orb(330,-40),orb(350,80,.4),circle(92,262,17,"#f2b84e"),circle(676,262,13,"#e8735a"),circle(640,620,15,"#8fd0c0"),
        stroke("M40 620 h150 M40 620 v-130 M46 610 C90 600 100 510 180 500","#d9efe6",4,opacity=.7),stroke("M590 90 c-30 -20 -50 20 -20 30 c30 8 20 50 -16 34 M620 130 h60 M650 100 v60","#d9efe6",5,opacity=.7),stroke("M60 90 l60 0 l-30 -52Z M150 60 h40 M150 80 h40","#d9efe6",4,opacity=.65),
        stroke("M680 760 c20 -30 40 30 60 0 M40 800 c16 -30 30 30 46 0 s30 30 46 0","#d9efe6",4,opacity=.6))
    veil="#e0a63c"
    back=at(384,440,path("M-186 280 C-206 80 -200 -140 -110 -222 C-60 -262 60 -262 110 -222 C200 -140 206 80 186 280Z","#b57f24"),scale=1.16)
    body=group(shoulders("#7a3d5a",spread=320),path("M384 740 C480 750 600 800 650 1050 L470 1050 C480 900 460 800 384 740Z","#5c2a44",opacity=.8),
        path("M196 800 C240 700 300 690 384 700 C468 690 528 700 572 800 C590 880 520 940 440 950 C380 960 250 950 210 900 C190 870 188 830 196 800Z",veil),
        path("M210 900 C300 930 420 900 520 760 C560 790 580 830 572 860 C560 920 500 950 440 956 C380 960 250 950 210 900Z","#c98f2c"),stroke("M230 830 C300 880 420 860 500 760 M222 870 C320 910 440 880 540 790","#a8741e",5,opacity=.7))
    hijab=at(384,440,
        path("M-160 200 C-190 40 -180 -140 -110 -206 C-60 -250 60 -250 110 -206 C180 -140 190 40 160 200 C120 250 60 262 0 262 C-60 262 -120 250 -160 200Z",veil),
        path("M0 -244 C60 -244 110 -206 110 -206 C180 -140 190 40 160 200 C120 250 60 262 0 262 C120 200 150 60 124 -60 C110 -140 60 -200 0 -244Z","#c4892a",opacity=.75),scale=1.16)
    clip=f'<clipPath id="veil"><path d="M-116 -6 C-120 -110 -70 -166 0 -166 C70 -166 120 -110 116 -6 C114 90 60 190 0 190 C-60 190 -114 90 -116 -6Z"/></clipPath>'
    face=at(384,440,clip,group(head(f,"n",ears=False),clip_path="url(#veil)"),
        stroke("M-116 -6 C-120 -110 -70 -166 0 -166 C70 -166 120 -110 116 -6 C114 90 60 190 0 190 C-60 190 -114 90 -116 -6Z","#a8741e",7,opacity=.8),
        path("M-112 -60 C-100 -140 -50 -168 0 -168 C50 -168 100 -140 112 -60 C96 -120 50 -146 0 -146 C-50 -146 -96 -120 -112 -60Z","#8f2f4a"),
        stroke("M-150 -60 C-130 -150 -70 -206 20 -222 M-160 40 C-156 100 -140 160 -110 200","#f2c56a",6,opacity=.8),
        mirrored(path("M20 -14 C20 -50 98 -50 98 -14 C98 22 76 34 58 34 C40 34 20 22 20 -14Z","#ffffff",opacity=.1),stroke("M20 -14 C20 -50 98 -50 98 -14 C98 22 76 34 58 34 C40 34 20 22 20 -14Z","#5a2438",7)),stroke("M-22 -18 Q-7 -30 8 -18","#5a2438",7),scale=1.16)
    return sheet(bg,scene,back,body,hijab,face,defs=d,light="#ffeab8",dark="#04121a")

def theo():
    f=Face(DEEP,"#140d0c",iris="#2a170f",turn=6,smile=6,brow=2,lashes=False,jaw=8,chin=4,nose=1.25,lips=1.25,brow_weight=12)
    d,bg=backdrop("city",(0,"#131a33",1),(.6,"#2a2f57",1),(1,"#6a4468",1))
    d+=glow("neon",(0,"#ff8a5a",.9),(1,"#ff8a5a",0))
    import random; r=random.Random(12); tow=[]
    x=-20
    while x<790:
        w=r.randint(60,110); h=r.randint(300,560); c=r.choice(["#1a2244","#20284d","#171d3a"])
        tow.append(rect(x,900-h,w,h+200,c))
        for yy in range(900-h+20,800,34):
            for xx in range(x+12,x+w-18,24):
                if r.random()<.42: tow.append(rect(xx,yy,11,15,r.choice(["#ffcf7a","#f7a35c","#ffe2a8","#9fc4e8"]),opacity=round(r.uniform(.45,.95),2)))
        x+=w+6
    scene=group(circle(150,170,64,"#fbe9c4"),circle(176,156,56,"#18203d"),*tow,rect(-20,-20,800,1060,"#131a33",opacity=.18),circle(640,240,150,"url(#neon)"),rect(556,206,170,66,"#2a1430",rx=14,stroke="#ff9a6a",stroke_width=6),
        stroke("M584 256 l0 -34 l22 34 l0 -34 M622 222 h22 M622 239 h18 M622 256 h22 M622 222 v34 M660 222 c34 -6 34 40 0 34Z","#ffb48a",5))
    body=group(at(384,440,neck(f.skin,66),scale=1.14),shoulders("#36545c",spread=330),path("M384 740 C480 750 610 800 690 1050 L470 1050 C490 900 460 800 384 740Z","#223b44",opacity=.9),
        path("M264 740 C290 700 320 690 384 690 C448 690 478 700 504 740 C480 820 288 820 264 740Z","#456a72"),stroke("M274 752 C320 806 448 806 494 752","#2a454e",7),*[stroke(f"M{x} 724 q4 30 0 60","#2f4f57",4) for x in range(300,480,22)],
        )
    hair="#1a1210"
    front=at(384,440,
        path("M-128 -70 C-134 -150 -96 -216 0 -218 C96 -216 134 -150 128 -70 C120 -110 108 -134 84 -146 C40 -160 -40 -160 -84 -146 C-108 -134 -120 -110 -128 -70Z",hair),
        *[circle(xx,yy,7,"#2a1e1a",opacity=.9) for xx,yy in [(r.randint(-96,96),r.randint(-208,-160)) for _ in range(46)] if abs(xx)<100-(-160-yy)*.8],
        path("M-126 40 C-122 110 -92 160 -56 178 C-30 190 30 190 56 178 C92 160 122 110 126 40 C112 90 96 116 72 128 C66 90 40 76 0 78 C-40 76 -66 90 -72 128 C-96 116 -112 90 -126 40Z",hair,opacity=.8),
        path("M-46 92 C-26 84 26 84 46 92 L44 108 C20 124 -20 124 -44 108Z",f.skin.base),
        path("M-44 93 C-26 91 -14 88 -6 88 C-3 90 3 90 6 88 C14 88 26 91 44 93 C26 122 -26 122 -44 93Z",f.skin.lip),stroke("M-46 92 C-24 106 24 106 46 92",f.skin.line,4),
        stroke("M-150 -30 C-160 -260 160 -260 150 -30","#e9e0d0",20),stroke("M-140 -110 C-110 -240 40 -250 60 -236","#fffaf0",5,opacity=.7),
        mirrored(rect(118,-62,52,118,"#c9502e",rx=26),rect(142,-48,40,90,"#2a2230",rx=20)),
        turn=-3,scale=1.14)
    mic=at(190,830,stroke("M0 60 L-80 260","#17131c",16),rect(-58,-120,116,190,"#c9c0b4",rx=56),rect(-58,-36,116,20,"#6d6258"),*[stroke(f"M{x} -104 L{x} -44","#8f857a",5) for x in (-36,-18,0,18,36)],*[stroke(f"M{x} -8 L{x} 54","#8f857a",5) for x in (-36,-18,0,18,36)],stroke("M-46 -76 C-46 -100 -30 -112 -14 -114","#fffaf0",7,opacity=.8),turn=14)
    return sheet(bg,scene,body,at(384,440,head(f,"th",side=1),turn=-3,scale=1.14),front,mic,defs=d,side=1,light="#ffb48a",dark="#060a1c")

PORTRAITS=dict(maren=maren,ptolemy=ptolemy,ines=ines,juno=juno,aurelio=aurelio,teodora=teodora,lucia=lucia,otis=otis,wren=wren,pia=pia,anjali=anjali,basil=basil,elowen=elowen,tock=tock,kasimir=kasimir,noor=noor,theo=theo)
